#include "../../core/error.h"
#include "../integer/strided.h"
#include "../post_training/channels.h"
#include "checks.h"
#include "rescale.h"

namespace sinter::quant {

namespace {

/// The sum, or difference, of two tensors, which may broadcast.
class Add final : public Layer {
 public:
  std::string_view name() const override { return "add"; }

  Answer takes(const Graph& graph, const Node& node) const override {
    if (node.op->name() != "add" && node.op->name() != "sub") return not_mine();
    return takes_two(graph, node);
  }

  bool may_be_negative(const Graph&, const Node& node, bool inputs) const override {
    return inputs || node.op->name() == "sub";
  }

  void lower(const Lowering& from, Instruction& step, Grid& y) const override {
    const double second = from.x[1].scale * (from.node.op->name() == "sub" ? -1.0 : 1.0);
    const int bits = std::max(from.x[0].bits, from.x[1].bits);
    step.rescale.push_back(from.rescaling([&](const Datapath& d) { return d.sum(from.x[0].scale, second, bits, y); },
                                          from.x[0].bounds.reach(), from.x[1].bounds.reach()));
  }

  void run(const Running& r, Tensor& y) const override {
    const Tensor a = expanded(r.x[0], r.shape), b = expanded(r.x[1], r.shape);
    with_integers(a, [&](const auto* in) {
      rescale(r, r.step.rescale, b, y,
              [in](int64_t at, int64_t count, int32_t* sums) { kernel::integers_of(in).widen(in + at, count, sums); });
    });
  }

  void check(const IntegerProgram& program, const Instruction& step) const override {
    expect_operation(step, 2, {"add", "sub"});
    expect_broadcast(program, step);
  }

  std::vector<Reach> reaches(const IntegerProgram& program, const Instruction& step) const override {
    return {{reach(program, step, 0), reach(program, step, 1)}};
  }

  std::vector<std::vector<size_t>> channels(Channels& channels, const Graph&, const Node& node) const override {
    const auto &a = channels.ids(node.inputs[0]), &b = channels.ids(node.inputs[1]);
    channels.tie(a, b);
    return {a.size() < b.size() ? b : a};
  }
};

}  // namespace

const Layer& add_layer() {
  static const Add layer;
  return layer;
}

}  // namespace sinter::quant
