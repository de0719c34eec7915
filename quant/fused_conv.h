#pragma once
// Private: the fused operation of prepared graphs.

#include "../core/onednn.h"
#include "../core/ops/conv2d.h"
#include "contract.h"

namespace sinter {

struct FusedConvAttributes {
  Pair stride{1};
  Pair padding{0};
  Pair dilation{1};
  int64_t groups = 1;
  bool linear = false;              ///< x [N,K] and weight [O,K] instead of images
  std::string activation = "none";  ///< none, relu, relu6
};
SINTER_FIELDS(FusedConvAttributes, stride, padding, dilation, groups, linear, activation)

namespace quant {

/// What a BPU runs as one layer: activation(conv2d or linear(x, weight) + bias (+ skip)). Inputs x, weight, bias [O],
/// and perhaps skip, of the output's shape.
struct FusedConv final : OpWith<FusedConvAttributes> {
  using OpWith::OpWith;
  std::string_view name() const override { return attributes.linear ? "linear" : "conv2d"; }
  Specs infer(std::span<const Spec> x) const override;
  void forward(Inputs x, Outputs y, Context& context) const override;
  void backward(const Context& context, Outputs dy, Gradients& dx) const override;
  int64_t macs(std::span<const Spec> x) const override;

  Activation activation() const { return activation_named(attributes.activation); }
};

/// The geometry of a fused convolution; a linear layer is a 1x1 convolution of 1x1 images.
onednn::Convolution geometry(const FusedConvAttributes& a, const Shape& x, const Shape& weight, const Shape& y);

}  // namespace quant
}  // namespace sinter
