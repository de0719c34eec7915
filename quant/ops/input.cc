#include "input.h"

#include "../../core/ops/elementwise.h"
#include "../integer/values.h"

namespace sinter::quant {

namespace {

Tensor with_zeros_for_nans(const Tensor& x) {
  Tensor clean = Tensor::empty(x.shape());
  ops::map(x, clean, [](float v) { return v != v ? 0.0f : v; });
  return clean;
}

}  // namespace

void Quantize::forward(Inputs x, Outputs y, Context& context) const {
  const int64_t found = nans == nullptr ? 0 : count_nans(x[0]);
  if (found > 0) *nans += found;
  quantize_output(*pass, found > 0 ? with_zeros_for_nans(x[0]) : x[0], input_scale, *output, y[0], context);
  if (exact) y[0].copy_from(exact(output->scale(*pass->march, input_scale)));
}

void Quantize::backward(const Context& context, Outputs dy, Gradients& dx) const {
  if (learning && dx.wanted(1)) dx.set(1, learned_gradient(context, 1, learning, dy[0]));
  if (dx.wanted(0)) dx.set(0, through_mask(context, 0, dy[0]));
}

void Dequantize::forward(Inputs x, Outputs y, Context&) const { y[0].copy_from(dequantize(x[0], scale)); }

void Dequantize::backward(const Context&, Outputs dy, Gradients& dx) const { dx.set(0, std::move(dy[0])); }

}  // namespace sinter::quant
