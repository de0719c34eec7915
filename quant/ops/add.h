#pragma once
// Private: an addition that no convolution took in: y = sat(round((a ma + b mb) / 2^n)).

#include "output.h"

namespace sinter::quant {

/// The operand with the larger scale as accumulators, the other as what is added to it: n comes from the larger ratio.
Accumulators add_accumulators(const Tensor& a, const Grid& a_grid, const Tensor& b, const Grid& b_grid);

/// Inputs int8 of one shape; output int8 on the grid of `output`.
struct QuantizedAdd final : Op {
  std::string node;
  Grid a, b;
  const ActivationQuantizer* output = nullptr;
  const Pass* pass = nullptr;

  std::string_view name() const override { return "quantized add"; }
  Specs infer(std::span<const Spec> x) const override { return {x[0]}; }
  void forward(Inputs x, Outputs y, Context& context) const override;
  void backward(const Context& context, Outputs dy, Gradients& dx) const override;
};

}  // namespace sinter::quant
