#pragma once
// Private: rescaling rows value by value, whatever the types.

#include <utility>

#include "../../core/dtype.h"
#include "datapath.h"

namespace sinter::quant {

/// y = one(acc + bias, b, by, bounds) for every value of the rows.
template <class One>
void rescale_rows(const Rescalings& r, const Rescaler::Rows& rows, const One& one) {
  const int64_t channels = rows.length > 0 ? rows.length : static_cast<int64_t>(r.bias.size());
  const auto as = [&](const auto* b, auto* y) {
    using Y = std::remove_reference_t<decltype(*y)>;
    for (int64_t row = 0; row < rows.count; ++row)
      for (int64_t c = 0; c < channels; ++c) {
        const int64_t i = row * channels + c, n = r.by.size() == 1 ? 0 : c;
        y[i] = static_cast<Y>(one(int64_t{rows.acc[i]} + r.bias[n], b == nullptr ? 0 : int64_t{b[i]}, r.by[n], r.y));
      }
  };
  const auto with_b = [&](const auto* b) {
    if (rows.y_type == DType::int16)
      as(b, static_cast<int16_t*>(rows.y));
    else
      as(b, static_cast<int8_t*>(rows.y));
  };
  if (rows.b_type == DType::int16)
    with_b(static_cast<const int16_t*>(rows.b));
  else
    with_b(static_cast<const int8_t*>(rows.b));
}

/// That as a rescaler.
template <class One>
std::unique_ptr<const Rescaler> plain_rescaler(Rescalings rescalings, One one) {
  class Plain final : public Rescaler {
   public:
    Plain(Rescalings r, One o) : r_(std::move(r)), one_(std::move(o)) {}
    void run(const Rows& rows) const override { rescale_rows(r_, rows, one_); }

   private:
    Rescalings r_;
    One one_;
  };
  return std::make_unique<const Plain>(std::move(rescalings), std::move(one));
}

/// What the kernels call them.
template <class Kernel>
Kernel kernel_arguments(const Rescalings& r, const Rescaler::Rows& rows) {
  Kernel k;
  k.acc = rows.acc;
  k.skip = {rows.b, rows.b_type == DType::int16};
  k.bias = r.bias.data();
  k.channels = rows.length > 0 ? rows.length : static_cast<int64_t>(r.bias.size());
  k.uniform = r.by.size() == 1;
  k.low = r.y.low;
  k.high = r.y.high;
  k.y = {rows.y, rows.y_type == DType::int16};
  return k;
}

}  // namespace sinter::quant
