#include "../../core/error.h"
#include "checks.h"
#include "rescale.h"

namespace sinter::quant {

namespace {

/// prelu of slopes that are parameters: max(x, 0) and min(x, 0) * slope as the two terms of a rescaling, by channel.
class Prelu final : public Layer {
 public:
  std::string_view name() const override { return "prelu"; }

  Answer takes(const Graph&, const Node& node) const override {
    if (node.op->name() != "prelu") return not_mine();
    if (!node.inputs[0].is_activation() || node.inputs[1].is_activation())
      return refused("its slopes are computed, expected a parameter");
    return yes();
  }

  void lower(const Lowering& from, Instruction& step, Grid& y) const override {
    const Operand& slopes = from.node.inputs[1];
    step.constants = {Tensor(), slopes.kind == Operand::Kind::parameter
                                    ? from.graph.parameters[static_cast<size_t>(slopes.index)].value.tensor().clone()
                                    : from.graph.constants[static_cast<size_t>(slopes.index)]};
    const double scale = from.x[0].scale;
    const int64_t reach = from.x[0].bounds.reach();
    for (const float slope : step.constants[1].values<float>())
      step.rescale.push_back(from.rescaling(
          [&](const Datapath& d) { return d.sum(scale, scale * static_cast<double>(slope), from.x[0].bits, y); }, reach,
          reach));
  }

  void run(const Running& r, Tensor& y) const override {
    with_integers(r.x[0], [&]<class X>(const X* in) {
      rescale_both(r, r.step.rescale, r.x[0].dtype(), y, [in](int64_t at, int64_t count, int32_t* sums) {
        static thread_local std::vector<X> below;
        below.resize(std::max(below.size(), static_cast<size_t>(count)));
        kernel::integers_of(in).split(in + at, count, sums, below.data());
        return below.data();
      });
    });
  }

  void check(const IntegerProgram&, const Instruction& step) const override {
    sinter::check(step.constants.size() == 2 && !step.constants[0].defined() && step.constants[1].defined(),
                  "has no slopes");
    expect_operation(step, 1, {"prelu"});
  }

  std::vector<std::string_view> parts() const override { return {"constants"}; }

  std::vector<Reach> reaches(const IntegerProgram& program, const Instruction& step) const override {
    const int64_t x = reach(program, step, 0);
    return std::vector<Reach>(static_cast<size_t>(step.constants[1].elements()), {x, x});
  }
};

}  // namespace

const Layer& prelu_layer() {
  static const Prelu layer;
  return layer;
}

}  // namespace sinter::quant
