#pragma once

#include "../op.h"
#include "window.h"

namespace sinter {

struct ConvAttributes {
  Pair stride{1};
  Pair padding{0};  ///< zeros on both sides
  Pair dilation{1};
  int64_t groups = 1;
};
SINTER_FIELDS(ConvAttributes, stride, padding, dilation, groups)

namespace ops {

/// Two-dimensional convolution (cross-correlation): x [N,H,W,I], weight [O,KH,KW,I/groups], optional bias [O], float32;
/// y [N,OH,OW,O] with OH = floor((H + 2 padding - dilation (KH - 1) - 1) / stride) + 1.
struct Conv2d final : OpWith<ConvAttributes> {
  using OpWith::OpWith;
  std::string_view name() const override { return "conv2d"; }
  Specs infer(std::span<const Spec> x) const override;
  void forward(Inputs x, Outputs y, Context& context) const override;
  void backward(const Context& context, Outputs dy, Gradients& dx) const override;
  int64_t macs(std::span<const Spec> x) const override;
};

/// The output shape of a convolution of x by weight (and bias, if not null). Throws Error, starting with `op`.
Shape conv2d_shape(std::string_view op, const ConvAttributes& a, const Shape& x, const Shape& weight,
                   const Shape* bias);

}  // namespace ops

/// See ops::Conv2d; an undefined bias is none.
Tensor conv2d(const Tensor& x, const Tensor& weight, const Tensor& bias = {}, const ConvAttributes& attributes = {});

}  // namespace sinter
