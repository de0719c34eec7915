#include "mean.h"

#include "../../core/parallel.h"

namespace sinter::quant {

Accumulators mean_accumulators(const std::string& node, const Tensor& x, const Grid& grid) {
  const int64_t images = x.size(0), positions = x.size(1) * x.size(2), channels = x.size(3);
  check(positions < (int64_t{1} << 23), node, ": the mean of an image ", x.shape(),
        " could overflow its 32-bit sum, expected fewer than 2^23 positions");
  Tensor acc = Tensor::zeros({images, channels}, DType::int32);
  const int8_t* in = x.data<int8_t>();
  auto* out = acc.mutable_data<int32_t>();
  parallel_for(images, 1, [&](int64_t begin, int64_t end) {
    for (int64_t n = begin; n < end; ++n)
      for (int64_t p = 0; p < positions; ++p) {
        const int8_t* from = in + (n * positions + p) * channels;
        for (int64_t c = 0; c < channels; ++c) out[n * channels + c] += from[c];
      }
  });
  return {.acc = std::move(acc),
          .bias = std::vector<int32_t>(static_cast<size_t>(channels), 0),
          .unit = std::vector<double>(static_cast<size_t>(channels), static_cast<double>(grid.scale)),
          .divisor = positions};
}

Specs QuantizedMean::infer(std::span<const Spec> inputs) const {
  const Shape& s = inputs[0].shape;
  return {{DType::int8, keep ? Shape{s[0], 1, 1, s[3]} : Shape{s[0], s[3]}}};
}

void QuantizedMean::forward(Inputs inputs, Outputs y, Context& context) const {
  quantize_output(node, *pass, mean_accumulators(node, inputs[0], x), *output, y[0], context);
}

void QuantizedMean::backward(const Context& context, Outputs dy, Gradients& dx) const {
  const Tensor dv = through_mask(context, 0, dy[0]);
  const Shape& shape = context.input(0).shape;
  const int64_t positions = shape[1] * shape[2], channels = shape[3];
  const float share = 1.0f / static_cast<float>(positions);
  const float* g = dv.data<float>();
  float* out = dx.create(0).mutable_data<float>();
  parallel_for(shape[0], 1, [&](int64_t begin, int64_t end) {
    for (int64_t n = begin; n < end; ++n)
      for (int64_t p = 0; p < positions; ++p)
        for (int64_t c = 0; c < channels; ++c) out[(n * positions + p) * channels + c] = g[n * channels + c] * share;
  });
}

}  // namespace sinter::quant
