#pragma once

#include "../op.h"
#include "../required.h"
#include "window.h"

namespace sinter {

struct MaxPoolAttributes {
  Required<Pair> kernel;  ///< one number, or {height, width}; so are the next three
  Pair stride{0};         ///< 0: the kernel
  Pair padding{0};        ///< on both sides, with what is never the largest; at most half of the kernel
  Pair dilation{1};
  bool ceil_mode = false;  ///< a last window may reach over the end
};
SINTER_FIELDS(MaxPoolAttributes, kernel, stride, padding, dilation, ceil_mode)

namespace ops {

/// The largest value of each window and channel: x float32 [N,H,W,C], y [N,OH,OW,C], OH as `window_output` says. NaN
/// where there is one. Of equal values the first, row by row, takes the gradient (as PyTorch's max_pool2d).
struct MaxPool2d final : OpWith<MaxPoolAttributes> {
  /// Throws Error for sizes that make no sense.
  MaxPool2d(const MaxPoolAttributes& attributes);
  std::string_view name() const override { return "max_pool2d"; }
  Specs infer(std::span<const Spec> x) const override;
  void forward(Inputs x, Outputs y, Context& context) const override;
  void backward(const Context& context, Outputs dy, Gradients& dx) const override;
};

}  // namespace ops

/// See ops::MaxPool2d: `max_pool2d(x, {.kernel = 3, .stride = 2, .padding = 1})`.
Tensor max_pool2d(const Tensor& x, const MaxPoolAttributes& attributes);

}  // namespace sinter
