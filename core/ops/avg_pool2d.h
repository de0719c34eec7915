#pragma once

#include "../op.h"
#include "../required.h"
#include "window.h"

namespace sinter {

struct AvgPoolAttributes {
  Required<Pair> kernel;          ///< one number, or {height, width}; so are the next two
  Pair stride{0};                 ///< 0: the kernel
  Pair padding{0};                ///< zeros on both sides; at most half of the kernel
  bool ceil_mode = false;         ///< a last window may reach over the end
  bool count_include_pad = true;  ///< padding counts in the number to divide by
};
SINTER_FIELDS(AvgPoolAttributes, kernel, stride, padding, ceil_mode, count_include_pad)

namespace ops {

/// The mean of each window and channel: x float32 [N,H,W,C], y [N,OH,OW,C], OH as `window_output` says. Divides by the
/// number of values inside the input and, with `count_include_pad`, its padding: what `ceil_mode` reaches over beyond
/// that never counts (as PyTorch's avg_pool2d).
struct AvgPool2d final : OpWith<AvgPoolAttributes> {
  /// Throws Error for sizes that make no sense.
  AvgPool2d(const AvgPoolAttributes& attributes);
  std::string_view name() const override { return "avg_pool2d"; }
  Specs infer(std::span<const Spec> x) const override;
  void forward(Inputs x, Outputs y, Context& context) const override;
  void backward(const Context& context, Outputs dy, Gradients& dx) const override;
};

}  // namespace ops

/// See ops::AvgPool2d: `avg_pool2d(x, {.kernel = 2})`.
Tensor avg_pool2d(const Tensor& x, const AvgPoolAttributes& attributes);

}  // namespace sinter
