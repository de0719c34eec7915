#include "tables.h"

#include <algorithm>
#include <array>
#include <cmath>

#include "../core/ops/leaky_relu.h"
#include "../core/parallel.h"
#include "contract_inline.h"

namespace sinter::quant {

bool has_table(std::string_view op) {
  constexpr std::array<std::string_view, 6> kOperations{"sigmoid",     "silu",      "tanh",
                                                        "hardsigmoid", "hardswish", "leaky_relu"};
  return std::find(kOperations.begin(), kOperations.end(), op) != kOperations.end();
}

double table_function(const Op& op, double x) {
  const std::string_view name = op.name();
  const double hinge = std::min(std::max(x + 3, 0.0), 6.0);
  if (name == "sigmoid") return 1 / (1 + std::exp(-x));
  if (name == "silu") return x / (1 + std::exp(-x));
  if (name == "tanh") return std::tanh(x);
  if (name == "hardsigmoid") return hinge / 6;
  if (name == "hardswish") return x * hinge / 6;
  if (const auto* leaky = dynamic_cast<const ops::LeakyRelu*>(&op))
    return x < 0 ? x * leaky->attributes.negative_slope : x;
  fail(name, ": has no table");
}

namespace {

template <class T>
void fill(const Op& op, int32_t first, const Grid& x, const Grid& y, Rounding rounding, Tensor& table) {
  T* out = table.mutable_data<T>();
  const double x_scale = x.scale, y_scale = y.scale, low = y.bounds.low, high = y.bounds.high;
  parallel_for(table.elements(), 1 << 10, [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) {
      const double v = table_function(op, static_cast<double>(first + i) * x_scale) / y_scale;
      out[i] = static_cast<T>(inlined::round_as(rounding, std::clamp(v, low, high)));
    }
  });
}

}  // namespace

Tensor make_table(const Op& op, const Grid& x, const Grid& y, Rounding rounding) {
  const bool wide = x.dtype == DType::int16;
  Tensor table = Tensor::empty({wide ? 1 << 16 : 1 << 8}, y.dtype);
  const int32_t first = wide ? -(1 << 15) : -(1 << 7);
  y.dtype == DType::int16 ? fill<int16_t>(op, first, x, y, rounding, table)
                          : fill<int8_t>(op, first, x, y, rounding, table);
  return table;
}

}  // namespace sinter::quant
