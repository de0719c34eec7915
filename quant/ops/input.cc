#include "input.h"

#include "../../core/ops/elementwise.h"

namespace sinter::quant {

namespace {

// The values with zeros for NaN, and how many there were.
int64_t without_nans(const Tensor& x, Tensor& clean) {
  std::atomic<int64_t> count{0};
  const float* in = x.data<float>();
  float* out = clean.mutable_data<float>();
  parallel_for(x.elements(), ops::kElementwiseGrain, [&](int64_t begin, int64_t end) {
    int64_t here = 0;
    for (int64_t i = begin; i < end; ++i) {
      const bool nan = in[i] != in[i];
      out[i] = nan ? 0.0f : in[i];
      here += nan;
    }
    count += here;
  });
  return count;
}

}  // namespace

void QuantizeInput::forward(Inputs x, Outputs y, Context& context) const {
  Tensor clean = Tensor::empty(x[0].shape());
  *nans += without_nans(x[0], clean);
  if (pass->observe && clean.elements() > 0) output->observe(Samples(clean));
  const March& march = *pass->march;
  const float inverse = 1.0f / output->scale(march);
  const float* in = clean.data<float>();
  auto* out = y[0].mutable_data<int8_t>();
  Tensor mask = context.recording() ? Tensor::empty({clean.elements()}, DType::uint8) : Tensor();
  uint8_t* passes = mask.defined() ? mask.mutable_data<uint8_t>() : nullptr;
  constexpr Bounds kBounds;
  parallel_for(clean.elements(), ops::kElementwiseGrain, [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i)
      out[i] = static_cast<int8_t>(quantize(in[i], inverse, kBounds, march.rounding));
    if (passes == nullptr) return;
    for (int64_t i = begin; i < end; ++i) {
      const double r = round_as(march.rounding, in[i] * inverse);
      passes[i] = r >= kBounds.low && r <= kBounds.high;
    }
  });
  if (mask.defined()) context.keep(mask);
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
