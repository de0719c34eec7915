#include <algorithm>
#include <cmath>

#include "../layer.h"

namespace sinter::bpu::witness {

namespace {

// The values low and high that an output lies between, and the weight of the second, of 2^bits, along one axis.
struct Between {
  int64_t low, high, weight;
};

Between between(const Attributes& a, int axis, int64_t i, int64_t size, int64_t outputs, int bits) {
  if (outputs == size) return {i, i, 0};
  const auto scale = std::get<double>(*a.find(axis == 0 ? "scale_h" : "scale_w"));
  if (a.get<std::string>("mode", "") == "nearest") {
    if (outputs == 2 * size) return {i / 2, i / 2, 0};
    // The step is a float32, and so is the product: exact in double, then rounded.
    const auto n = static_cast<double>(size), step = scale > 0 ? 1 / scale : n / static_cast<double>(outputs);
    const auto at = static_cast<float>(static_cast<double>(i) * static_cast<double>(static_cast<float>(step)));
    const int64_t low = std::min(static_cast<int64_t>(at), size - 1);
    return {low, low, 0};
  }
  const long double step = scale > 0 ? 1 / static_cast<long double>(scale)
                                     : static_cast<long double>(size) / static_cast<long double>(outputs);
  long double u = std::max((static_cast<long double>(i) + 0.5L) * step - 0.5L, 0.0L);
  if (a.get("align_corners", false))
    u = outputs == 1 ? 0 : static_cast<long double>(i * (size - 1)) / static_cast<long double>(outputs - 1);
  const auto low = std::min(static_cast<int64_t>(u), size - 1);
  const long double fraction = std::min(u - static_cast<long double>(low), 1.0L);
  return {low, std::min(low + 1, size - 1), rounded(std::ldexp(fraction, bits), false)};
}

class Resize final : public Twin {
 public:
  Plain run(const Site& site, const std::vector<const Plain*>& in, const Shape& shape) const override {
    const Attributes a(site.step);
    const Datapath datapath(site.program.march);
    const Plain& x = *in[0];
    const int bits = site.program.march.resize_bits;
    return made(shape, [&](const Index& at) {
      const Between v = between(a, 0, at[1], x.shape[1], shape[1], bits),
                    h = between(a, 1, at[2], x.shape[2], shape[2], bits);
      const int64_t one = int64_t{1} << bits;
      const int64_t above = value_at(x, {at[0], v.low, h.low, at[3]}) * (one - h.weight) +
                            value_at(x, {at[0], v.low, h.high, at[3]}) * h.weight;
      const int64_t below = value_at(x, {at[0], v.high, h.low, at[3]}) * (one - h.weight) +
                            value_at(x, {at[0], v.high, h.high, at[3]}) * h.weight;
      return datapath.shifted(above * (one - v.weight) + below * v.weight, 2 * bits);
    });
  }
  bool passes() const override { return true; }
};

}  // namespace

const Twin& resize_twin() {
  static const Resize twin;
  return twin;
}

}  // namespace sinter::bpu::witness
