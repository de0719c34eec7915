#pragma once

#include "../op.h"

namespace sinter {

struct TopKAttributes {
  int64_t k = 1;
  int64_t axis = -1;    ///< negative ones count from the last
  bool largest = true;  ///< or the least
};
SINTER_FIELDS(TopKAttributes, k, axis, largest)

namespace ops {

/// The k largest, or least, values along an axis of a float32 tensor, in that order, and their indices, int64: equal
/// ones in the order of their indices; NaN is larger than any number (as PyTorch's topk). The axis has the size k then.
struct TopK final : OpWith<TopKAttributes> {
  /// Throws Error for k below 1.
  TopK(const TopKAttributes& attributes);
  std::string_view name() const override { return "topk"; }
  Specs infer(std::span<const Spec> x) const override;
  void forward(Inputs x, Outputs y, Context& context) const override;
  void backward(const Context& context, Outputs dy, Gradients& dx) const override;
};

}  // namespace ops

struct TopK {
  Tensor values, indices;  ///< float32 and int64
};
/// See ops::TopK: `const auto [values, indices] = topk(scores, {.k = 5});`
TopK topk(const Tensor& x, const TopKAttributes& attributes);

}  // namespace sinter
