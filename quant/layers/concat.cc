#include "../../core/ops/concat.h"
#include "../../core/error.h"
#include "../integer/strided.h"
#include "checks.h"
#include "rescale.h"

namespace sinter::quant {

namespace {

/// Tensors one behind the other along any axis but the batch's, each rescaled.
class Concat final : public Layer {
 public:
  std::string_view name() const override { return "concat"; }

  Answer takes(const Graph& graph, const Node& node) const override {
    const auto* a = attributes_of<ops::Concat>(node);
    if (a == nullptr) return not_mine();
    return takes_along(graph, node, a->axis);
  }

  void lower(const Lowering& from, Instruction& step, Grid& y) const override {
    for (const Grid& part : from.x)
      step.rescale.push_back(from.rescaling([&](const Datapath& d) { return d.narrow(part, y); }, part.bounds.reach()));
  }

  void run(const Running& r, Tensor& y) const override {
    const int axis = normalize_axis(attributes_of<ops::Concat>(r.step).axis, y.rank(), "concat");
    const std::vector<int64_t> strides = strides_of(y.shape());
    int64_t at = 0;
    for (size_t i = 0; i < r.x.size(); ++i) {
      const Shape& shape = r.x[i].shape();
      Tensor part = Tensor::empty(shape, y.dtype());
      if (part.elements() > 0) rescale(r, {r.step.rescale[i]}, r.x[i], part);
      copy_strided({{shape.begin(), shape.end()}, strides_of(shape), strides, 0, at}, part, y);
      at += shape[axis] * strides[static_cast<size_t>(axis)];
    }
  }

  void check(const IntegerProgram& program, const Instruction& step) const override {
    expect_operation(step, step.inputs.size(), {"concat"});
    expect_axis(program, step, attributes_of<ops::Concat>(step).axis);
  }

  std::vector<Reach> reaches(const IntegerProgram& program, const Instruction& step) const override {
    std::vector<Reach> all;
    for (size_t i = 0; i < step.inputs.size(); ++i) all.push_back({reach(program, step, i), 0});
    return all;
  }
};

}  // namespace

const Layer& concat_layer() {
  static const Concat layer;
  return layer;
}

}  // namespace sinter::quant
