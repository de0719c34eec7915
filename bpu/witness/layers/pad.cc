#include <algorithm>

#include "../layer.h"

namespace sinter::bpu::witness {

namespace {

class Pad final : public Twin {
 public:
  Plain run(const Site& site, const std::vector<const Plain*>& in, const Shape& shape) const override {
    const auto before = Attributes(site.step).get<std::vector<int64_t>>("before", {});
    const int64_t border = quantized(value_of(site), site.y(), site.half_up());
    return made(shape, [&](Index at) {
      bool inside = true;
      for (int axis = 0; axis < shape.rank(); ++axis) {
        int64_t& along = at[static_cast<size_t>(axis)];
        if (!before.empty()) along -= before[static_cast<size_t>(axis)];
        inside = inside && along >= 0 && along < in[0]->shape[axis];
      }
      return inside ? value_at(*in[0], at) : border;
    });
  }
  bool passes() const override { return true; }
  // The border may be beyond what the image holds, but not beyond the type.
  void bound(const Site& site, int64_t& low, int64_t& high) const override {
    const Value& x = site.x();
    const int64_t half = int64_t{1} << (x.bits - 1);
    const bool from_zero = x.high >= half;
    Value type = x;
    type.low = static_cast<int32_t>(from_zero ? 0 : -half);
    type.high = static_cast<int32_t>(from_zero ? 2 * half - 1 : half - 1);
    const int64_t border = quantized(value_of(site), type, site.half_up());
    low = std::min(low, border);
    high = std::max(high, border);
  }

 private:
  static float value_of(const Site& site) { return static_cast<float>(Attributes(site.step).get<double>("value", 0)); }
};

}  // namespace

const Twin& pad_twin() {
  static const Pad twin;
  return twin;
}

}  // namespace sinter::bpu::witness
