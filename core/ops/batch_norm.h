#pragma once

#include "../op.h"

namespace sinter {

struct BatchNormAttributes {
  double eps = 1e-5;
  double momentum = 0.1;            ///< running = (1 - momentum) * running + momentum * batch
  std::string activation = "none";  ///< of the result: none, relu, relu6
  bool frozen = false;              ///< as in evaluation, in training too
};
SINTER_FIELDS(BatchNormAttributes, eps, momentum, activation, frozen)

namespace ops {

/// Batch normalisation over all axes but the last (Ioffe & Szegedy, 1502.03167): inputs x [...,C], weight, bias,
/// running mean and running variance [C], and perhaps a tensor of x's shape that is added before the activation.
/// In training it normalises with the batch's mean and (biased) variance and moves the running ones, the variance
/// unbiased, as PyTorch does; in evaluation, and where it is frozen, it normalises with the running ones, which stay.
/// Weight and bias have their gradients in any case.
struct BatchNorm final : OpWith<BatchNormAttributes> {
  using OpWith::OpWith;
  std::string_view name() const override { return "batch_norm"; }
  Specs infer(std::span<const Spec> x) const override;
  void forward(Inputs x, Outputs y, Context& context) const override;
  void backward(const Context& context, Outputs dy, Gradients& dx) const override;
};

}  // namespace ops

/// See ops::BatchNorm. The running statistics are updated in place in training, unless they are frozen.
Tensor batch_norm(const Tensor& x, const Tensor& weight, const Tensor& bias, const Tensor& running_mean,
                  const Tensor& running_var, const BatchNormAttributes& attributes = {});

}  // namespace sinter
