#include "input.h"

#include "../../core/ops/elementwise.h"
#include "../integer/values.h"

namespace sinter::quant {

namespace {

int64_t count_nans(const Tensor& x) {
  std::atomic<int64_t> count{0};
  const float* in = x.data<float>();
  parallel_for(x.elements(), ops::kElementwiseGrain, [&](int64_t begin, int64_t end) {
    int64_t here = 0;
    for (int64_t i = begin; i < end; ++i) here += in[i] != in[i];
    count += here;
  });
  return count;
}

Tensor with_zeros_for_nans(const Tensor& x) {
  Tensor clean = Tensor::empty(x.shape());
  ops::map(x, clean, [](float v) { return v != v ? 0.0f : v; });
  return clean;
}

}  // namespace

void QuantizeInput::forward(Inputs x, Outputs y, Context& context) const {
  const int64_t found = count_nans(x[0]);
  *nans += found;
  const Tensor clean = found > 0 ? with_zeros_for_nans(x[0]) : x[0];
  if (pass->observe && clean.elements() > 0) output->observe(Samples(clean));
  const March& march = *pass->march;
  const float scale = output->scale(march);
  Tensor mask;
  quantize(clean, {&scale, 1}, {}, march.rounding, y[0], context.recording() ? &mask : nullptr);
  if (context.recording()) context.keep(mask);
  if (pass->inspect) pass->inspect(node, y[0]);
}

void QuantizeInput::backward(const Context& context, Outputs dy, Gradients& dx) const {
  dx.set(0, through_mask(context, 0, dy[0]));
}

void Dequantize::forward(Inputs x, Outputs y, Context&) const {
  const int8_t* in = x[0].data<int8_t>();
  float* out = y[0].mutable_data<float>();
  for (int64_t i = 0; i < x[0].elements(); ++i) out[i] = static_cast<float>(in[i]) * scale;
}

void Dequantize::backward(const Context&, Outputs dy, Gradients& dx) const { dx.set(0, std::move(dy[0])); }

}  // namespace sinter::quant
