#pragma once

#include "../op.h"
#include "batch_norm.h"
#include "conv2d.h"

namespace sinter {

struct Conv2dBatchNormAttributes {
  Pair stride{1};
  Pair padding{0};
  Pair dilation{1};
  int64_t groups = 1;
  double eps = 1e-5;
  double momentum = 0.1;
  std::string activation = "none";
  bool frozen = false;

  ConvAttributes conv() const { return {stride, padding, dilation, groups}; }
  BatchNormAttributes batch_norm() const { return {eps, momentum, activation, frozen}; }
};
SINTER_FIELDS(Conv2dBatchNormAttributes, stride, padding, dilation, groups, eps, momentum, activation, frozen)

namespace ops {

/// ops::BatchNorm of ops::Conv2d without a bias, with the same bits: inputs x [N,H,W,I], weight [O,KH,KW,I/groups],
/// then those of the batch normalisation, [O] each: weight, bias, running mean and variance, and perhaps a tensor of
/// the output's shape that is added before the activation. A few images at a time pass through both, while they are in
/// cache. `fuse_batch_norm` makes it.
struct Conv2dBatchNorm final : OpWith<Conv2dBatchNormAttributes> {
  using OpWith::OpWith;
  std::string_view name() const override { return "conv2d_batch_norm"; }
  Specs infer(std::span<const Spec> x) const override;
  void forward(Inputs x, Outputs y, Context& context) const override;
  void backward(const Context& context, Outputs dy, Gradients& dx) const override;
  int64_t macs(std::span<const Spec> x) const override;
};

}  // namespace ops
}  // namespace sinter
