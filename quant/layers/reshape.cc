#include "../../core/error.h"
#include "../../core/ops/view.h"
#include "../post_training/channels.h"
#include "checks.h"

namespace sinter::quant {

namespace {

/// reshape and flatten: x under another shape.
class Reshape final : public Layer {
 public:
  std::string_view name() const override { return "reshape"; }

  Answer takes(const Graph&, const Node& node) const override {
    return node.op->name() == "reshape" || node.op->name() == "flatten" ? yes() : not_mine();
  }

  bool passes() const override { return true; }

  Tensor output(const Running& r) const override {
    sinter::check(r.x[0].elements() == r.shape.elements(), "reshape: ", r.x[0].shape(), " has other elements than ",
                  r.shape);
    return ops::view(r.x[0], r.shape);
  }

  void check(const IntegerProgram&, const Instruction& step) const override {
    expect_operation(step, 1, {"reshape", "flatten"});
  }

  std::vector<std::vector<size_t>> channels(Channels& channels, const Graph&, const Node& node) const override {
    return {channels.regroup(channels.ids(node.inputs[0]), node.outputs[0])};
  }
};

}  // namespace

const Layer& reshape_layer() {
  static const Reshape layer;
  return layer;
}

}  // namespace sinter::quant
