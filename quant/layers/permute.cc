#include "../../core/ops/permute.h"
#include "../../core/error.h"
#include "../integer/strided.h"
#include "checks.h"

namespace sinter::quant {

namespace {

// Whether images stay where they are.
bool keeps_batch(const PermuteAttributes& a, int rank) {
  return !a.axes.empty() && normalize_axis(a.axes[0], rank, "permute") == 0;
}

/// The same values with all axes but the batch's in another order.
class Permute final : public Layer {
 public:
  std::string_view name() const override { return "permute"; }

  Answer takes(const Graph& graph, const Node& node) const override {
    const auto* a = attributes_of<ops::Permute>(node);
    if (a == nullptr) return not_mine();
    return takes_along(graph, node, keeps_batch(*a, graph.spec(node.inputs[0]).shape.rank()) ? -1 : 0);
  }

  bool passes() const override { return true; }

  void run(const Running& r, Tensor& y) const override {
    const Tensor& x = r.x[0];
    const std::vector<int64_t> strides = strides_of(x.shape());
    StridedCopy by{{r.shape.begin(), r.shape.end()}, {}, strides_of(r.shape)};
    for (const int64_t axis : attributes_of<ops::Permute>(r.step).axes)
      by.from_strides.push_back(strides[static_cast<size_t>(normalize_axis(axis, x.rank(), "permute"))]);
    copy_strided(by, x, y);
  }

  void check(const IntegerProgram& program, const Instruction& step) const override {
    expect_operation(step, 1, {"permute"});
    sinter::check(keeps_batch(attributes_of<ops::Permute>(step), input(program, step, 0).shape.rank()),
                  "moves the axis of the batch");
  }
};

}  // namespace

const Layer& permute_layer() {
  static const Permute layer;
  return layer;
}

}  // namespace sinter::quant
