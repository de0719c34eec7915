#include "add.h"

namespace sinter::quant {

Accumulators add_accumulators(const Tensor& a, const Grid& a_grid, const Tensor& b, const Grid& b_grid) {
  const bool swap = b_grid.scale > a_grid.scale;
  const Tensor &large = swap ? b : a, &small = swap ? a : b;
  const auto channels = static_cast<size_t>(large.size(-1));
  return {.acc = large.to(DType::int32),
          .bias = std::vector<int32_t>(channels, 0),
          .unit = std::vector<double>(channels, static_cast<double>((swap ? b_grid : a_grid).scale)),
          .skip = small,
          .skip_grid = swap ? a_grid : b_grid};
}

void QuantizedAdd::forward(Inputs x, Outputs y, Context& context) const {
  quantize_output(node, *pass, add_accumulators(x[0], a, x[1], b), *output, y[0], context);
}

void QuantizedAdd::backward(const Context& context, Outputs dy, Gradients& dx) const {
  Tensor dv = through_mask(context, 0, dy[0]);
  if (dx.wanted(0)) dx.set(0, dv);
  if (dx.wanted(1)) dx.set(1, std::move(dv));
}

}  // namespace sinter::quant
