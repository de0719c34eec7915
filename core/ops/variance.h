#pragma once

#include "../op.h"

namespace sinter {

struct VarianceAttributes {
  std::vector<int64_t> axes{};  ///< negative ones count from the last; none: all
  bool keep = false;            ///< reduced axes stay, with size 1
  int64_t correction = 1;  ///< taken off the number of values that is divided by: 1 for a sample, 0 for all there is
};
SINTER_FIELDS(VarianceAttributes, axes, keep, correction)

namespace ops {

/// The variance of a float32 tensor over some axes, in double precision. NaN or infinite where correction leaves no
/// value, as in PyTorch.
struct Variance final : OpWith<VarianceAttributes> {
  using OpWith::OpWith;
  std::string_view name() const override { return "var"; }
  Specs infer(std::span<const Spec> x) const override;
  void forward(Inputs x, Outputs y, Context& context) const override;
  void backward(const Context& context, Outputs dy, Gradients& dx) const override;
};

}  // namespace ops

/// See ops::Variance: `var(x, {.axes = {1, 2}, .correction = 0})`.
Tensor var(const Tensor& x, const VarianceAttributes& attributes = {});
/// Its square root: the standard deviation. Its gradient is 0 where all values are equal.
Tensor stddev(const Tensor& x, const VarianceAttributes& attributes = {});

}  // namespace sinter
