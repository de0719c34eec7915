#include "../../core/ops/slice.h"
#include "../integer/strided.h"
#include "checks.h"

namespace sinter::quant {

namespace {

/// A part of a tensor along any axis but the batch's.
class Slice final : public Layer {
 public:
  std::string_view name() const override { return "slice"; }

  Answer takes(const Graph& graph, const Node& node) const override {
    const auto* a = attributes_of<ops::Slice>(node);
    return a == nullptr ? not_mine() : takes_along(graph, node, a->axis);
  }

  bool passes() const override { return true; }

  void run(const Running& r, Tensor& y) const override {
    const auto& a = attributes_of<ops::Slice>(r.step);
    const Tensor& x = r.x[0];
    const int axis = normalize_axis(a.axis, x.rank(), "slice");
    const auto at = static_cast<size_t>(axis);
    StridedCopy by{{r.shape.begin(), r.shape.end()}, strides_of(x.shape()), strides_of(r.shape)};
    by.from = (a.begin < 0 ? a.begin + x.size(axis) : a.begin) * by.from_strides[at];
    by.from_strides[at] *= a.step;
    copy_strided(by, x, y);
  }

  void check(const IntegerProgram& program, const Instruction& step) const override {
    expect_operation(step, 1, {"slice"});
    expect_axis(program, step, attributes_of<ops::Slice>(step).axis);
  }
};

}  // namespace

const Layer& slice_layer() {
  static const Slice layer;
  return layer;
}

}  // namespace sinter::quant
