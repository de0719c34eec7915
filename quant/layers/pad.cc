#include <algorithm>

#include "../../core/error.h"
#include "../../core/ops/pad.h"
#include "../contract.h"
#include "../integer/strided.h"
#include "checks.h"
#include "rescale.h"

namespace sinter::quant {

namespace {

// Whether a border takes in images of the batch.
bool adds_to_batch(const PadAttributes& a) {
  return (!a.before.empty() && a.before[0] != 0) || (!a.after.empty() && a.after[0] != 0);
}

/// A tensor with a border of one value around it.
class Pad final : public Layer {
 public:
  std::string_view name() const override { return "pad"; }

  Answer takes(const Graph& graph, const Node& node) const override {
    const auto* a = attributes_of<ops::Pad>(node);
    return a == nullptr ? not_mine() : takes_along(graph, node, adds_to_batch(*a) ? 0 : -1);
  }

  bool passes() const override { return true; }
  bool may_be_negative(const Graph&, const Node& node, bool inputs) const override {
    return inputs || attributes_of<ops::Pad>(node)->value < 0;
  }

  /// The border may be beyond what the image holds, but not beyond the type.
  void lower(const Lowering& from, Instruction& step, Grid& y) const override {
    y = from.x[0];
    const Bounds wide = type_bounds(y.bits), type = y.bounds.high > wide.high ? type_bounds(y.bits, false) : wide;
    const int32_t border = border_of(step, y.scale, type, from.march.rounding);
    y.bounds = {std::min(y.bounds.low, border), std::max(y.bounds.high, border)};
  }

  void run(const Running& r, Tensor& y) const override {
    const auto& a = attributes_of<ops::Pad>(r.step);
    const Tensor& x = r.x[0];
    const int32_t border = border_of(r.step, r.y.scale, r.y.bounds, r.march.rounding);
    with_integers(x, [&]<class X>(const X*) {
      X* out = y.mutable_data<X>();
      parallel_for(y.elements(), kGrain, [out, value = static_cast<X>(border)](int64_t begin, int64_t end) {
        std::fill(out + begin, out + end, value);
      });
    });
    StridedCopy by{{x.shape().begin(), x.shape().end()}, strides_of(x.shape()), strides_of(r.shape)};
    for (size_t axis = 0; axis < a.before.size(); ++axis) by.to += a.before[axis] * by.to_strides[axis];
    copy_strided(by, x, y);
  }

  void check(const IntegerProgram&, const Instruction& step) const override {
    expect_operation(step, 1, {"pad"});
    sinter::check(!adds_to_batch(attributes_of<ops::Pad>(step)), "adds to the batch");
  }

  float ceiling(const Instruction& step, float before) const override {
    return std::max(before, static_cast<float>(attributes_of<ops::Pad>(step).value));
  }

 private:
  static int32_t border_of(const Instruction& step, float scale, const Bounds& bounds, Rounding rounding) {
    return quantize(static_cast<float>(attributes_of<ops::Pad>(step).value), 1.0f / scale, bounds, rounding);
  }
};

}  // namespace

const Layer& pad_layer() {
  static const Pad layer;
  return layer;
}

}  // namespace sinter::quant
