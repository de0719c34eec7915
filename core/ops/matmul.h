#pragma once

#include "../op.h"

namespace sinter {

struct MatmulAttributes {
  bool transpose_a = false, transpose_b = false;  ///< the operand's last two axes are the other way round
};
SINTER_FIELDS(MatmulAttributes, transpose_a, transpose_b)

namespace ops {

/// The product of matrices on the last two axes: a [...,M,K] and b [...,K,N], float32, whose leading axes broadcast as
/// NumPy's do; y [...,M,N]. A transposed a is [...,K,M], a transposed b [...,N,K].
struct Matmul final : OpWith<MatmulAttributes> {
  using OpWith::OpWith;
  std::string_view name() const override { return "matmul"; }
  Specs infer(std::span<const Spec> x) const override;
  void forward(Inputs x, Outputs y, Context& context) const override;
  void backward(const Context& context, Outputs dy, Gradients& dx) const override;
  int64_t macs(std::span<const Spec> x) const override;
};

}  // namespace ops

/// See ops::Matmul.
Tensor matmul(const Tensor& a, const Tensor& b);
/// `matmul(q, k, {.transpose_b = true})`
Tensor matmul(const Tensor& a, const Tensor& b, const MatmulAttributes& attributes);

}  // namespace sinter
