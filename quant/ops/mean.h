#pragma once
// Private: the mean over an image, y = sat(round(sum(q) m / 2^n)), m / 2^n ~ s_x / (k s_y).

#include "output.h"

namespace sinter::quant {

/// The sums over H and W of x int8 [N,H,W,C], as int32 [N,C]. Throws Error, naming the node, for images of 2^23
/// positions or more.
Accumulators mean_accumulators(const std::string& node, const Tensor& x, const Grid& grid);

/// Input int8 [N,H,W,C]; output int8 [N,C] or, with `keep`, [N,1,1,C], on the grid of `output`.
struct QuantizedMean final : Op {
  std::string node;
  bool keep = false;
  Grid x;
  const ActivationQuantizer* output = nullptr;
  const Pass* pass = nullptr;

  std::string_view name() const override { return "quantized mean"; }
  Specs infer(std::span<const Spec> inputs) const override;
  void forward(Inputs inputs, Outputs y, Context& context) const override;
  void backward(const Context& context, Outputs dy, Gradients& dx) const override;
};

}  // namespace sinter::quant
