#include "../contract.h"
#include "../integer/values.h"
#include "../post_training/channels.h"
#include "checks.h"

namespace sinter::quant {

namespace {

/// ReLU or ReLU6 on its own: x limited to the output's bounds.
class Clamp final : public Layer {
 public:
  std::string_view name() const override { return "clamp"; }

  Answer takes(const Graph&, const Node& node) const override {
    return node.op->name() == "relu" || node.op->name() == "relu6" ? yes() : not_mine();
  }

  bool passes() const override { return true; }
  bool limits() const override { return true; }
  bool may_be_negative(const Graph&, const Node&, bool) const override { return false; }
  bool remembers() const override { return true; }

  void lower(const Lowering& from, Instruction&, Grid& y) const override {
    y = from.x[0];
    const Activation activation = activation_named(std::string(from.node.op->name()));
    y.bounds = output_bounds(activation, y.scale, from.march.rounding, y.bounds);
  }

  void run(const Running& r, Tensor& y) const override { clamp(r.x[0], r.y.bounds, y); }

  void check(const IntegerProgram&, const Instruction& step) const override {
    expect_operation(step, 1, {"relu", "relu6"});
  }

  float ceiling(const Instruction& step, float before) const override {
    return step.op->name() == "relu6" ? sinter::ceiling(Activation::relu6) : before;
  }

  std::vector<std::vector<size_t>> channels(Channels& channels, const Graph&, const Node& node) const override {
    if (node.op->name() == "relu6") channels.pin(node.inputs[0], "the ReLU6 " + node.name);
    return {channels.ids(node.inputs[0])};
  }
};

}  // namespace

const Layer& clamp_layer() {
  static const Clamp layer;
  return layer;
}

}  // namespace sinter::quant
