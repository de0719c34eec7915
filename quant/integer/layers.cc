#include "layers.h"

#include "../../core/ops/max_pool2d.h"
#include "../../core/ops/view.h"
#include "../../core/parallel.h"
#include "max_pool.h"
#include "requantize.h"
#include "values.h"

namespace sinter::quant {

namespace {

// The sums over H and W of x [N,H,W,C], as int32 [N,C].
template <class T>
Tensor sums_of_images(const Tensor& x) {
  const int64_t images = x.size(0), positions = x.size(1) * x.size(2), channels = x.size(3);
  Tensor acc = Tensor::zeros({images, channels}, DType::int32);
  const T* in = x.data<T>();
  auto* out = acc.mutable_data<int32_t>();
  parallel_for(images, 1, [&](int64_t begin, int64_t end) {
    for (int64_t n = begin; n < end; ++n)
      for (int64_t p = 0; p < positions; ++p) {
        const T* from = in + (n * positions + p) * channels;
        for (int64_t c = 0; c < channels; ++c) out[n * channels + c] += from[c];
      }
  });
  return acc;
}

// One multiplier for all.
void rescale(const Tensor& acc, const Tensor& skip, const Instruction& step, const Grid& grid, Rounding rounding,
             Tensor& y) {
  const auto channels = static_cast<size_t>(y.size(-1));
  requantize(
      acc, skip,
      {std::vector<int32_t>(channels, 0), std::vector<Multiplier>(channels, step.rescale[0]), grid.bounds, rounding},
      y);
}

}  // namespace

Tensor run_layer(const Instruction& step, std::span<const Tensor> x, const Shape& shape, const Grid& grid,
                 Rounding rounding) {
  if (step.opcode == Opcode::reshape) return ops::view(x[0], shape);
  Tensor y = Tensor::empty(shape, grid.dtype);
  switch (step.opcode) {
    case Opcode::add:
      rescale(widen(x[0]), x[1], step, grid, rounding, y);
      return y;
    case Opcode::mean:
      rescale(x[0].dtype() == DType::int16 ? sums_of_images<int16_t>(x[0]) : sums_of_images<int8_t>(x[0]), {}, step,
              grid, rounding, y);
      return y;
    case Opcode::clamp:
      clamp(x[0], grid.bounds, y);
      return y;
    case Opcode::max_pool: {
      const auto& a = static_cast<const ops::MaxPool2d&>(*step.op).attributes;
      integer_max_pool({a.kernel, a.stride, a.padding, a.dilation, a.ceil_mode}, x[0], y);
      return y;
    }
    default:
      fail(to_string(step.opcode), " is no layer of integers");
  }
}

}  // namespace sinter::quant
