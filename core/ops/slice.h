#pragma once

#include <limits>

#include "../op.h"

namespace sinter {

struct SliceAttributes {
  int64_t axis = -1;  ///< negative ones count from the last: -1 is the channels
  int64_t begin = 0;  ///< the first index; negative ones count from the axis' end, as those of `end` do
  int64_t end = std::numeric_limits<int64_t>::max();  ///< the first index not taken; the largest number: the axis' end
  int64_t step = 1;
};
SINTER_FIELDS(SliceAttributes, axis, begin, end, step)

namespace ops {

/// The indices begin, begin + step, ... before end of one axis. Any type.
struct Slice final : OpWith<SliceAttributes> {
  /// Throws Error for a step below 1.
  Slice(const SliceAttributes& attributes);
  std::string_view name() const override { return "slice"; }
  /// Throws Error unless 0 <= begin <= end <= the axis' size.
  Specs infer(std::span<const Spec> x) const override;
  void forward(Inputs x, Outputs y, Context& context) const override;
  void backward(const Context& context, Outputs dy, Gradients& dx) const override;
};

}  // namespace ops

/// See ops::Slice: `slice(x, {.axis = 1, .begin = 2})` is x without its first two rows.
Tensor slice(const Tensor& x, const SliceAttributes& attributes);

struct SplitOptions {
  int64_t count = 0;             ///< of parts of one size, or
  std::vector<int64_t> sizes{};  ///< the size of each part
  int64_t axis = -1;
};
/// All of a tensor in parts along an axis, each a slice: `split(x, {.count = 2})`, `split(x, {.sizes = {16, 48}})`.
std::vector<Tensor> split(const Tensor& x, const SplitOptions& options);

}  // namespace sinter
