#include "values.h"

#include <algorithm>

#include "../../core/parallel.h"

namespace sinter::quant {

namespace {
constexpr int64_t kGrain = 1 << 15;
}

void quantize(const Tensor& x, float scale, const Bounds& bounds, Rounding rounding, Tensor& y) {
  const float* in = x.data<float>();
  auto* out = y.mutable_data<int8_t>();
  const float inverse = 1.0f / scale;
  parallel_for(x.elements(), kGrain, [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) out[i] = static_cast<int8_t>(quantize(in[i], inverse, bounds, rounding));
  });
}

void clamp(const Tensor& x, const Bounds& bounds, Tensor& y) {
  const int8_t* in = x.data<int8_t>();
  auto* out = y.mutable_data<int8_t>();
  const auto low = static_cast<int8_t>(bounds.low), high = static_cast<int8_t>(bounds.high);
  parallel_for(x.elements(), kGrain, [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) out[i] = std::clamp(in[i], low, high);
  });
}

}  // namespace sinter::quant
