#include "../../core/error.h"
#include "../../core/ops/reduce.h"
#include "../../core/within.h"
#include "../post_training/channels.h"
#include "checks.h"
#include "reduced.h"
#include "rescale.h"

namespace sinter::quant {

namespace {

const ReduceAttributes* reduction(const Op* op) {
  const auto* all = dynamic_cast<const ops::Reduce*>(op);
  return all != nullptr && (op->name() == "mean" || op->name() == "sum") ? &all->attributes : nullptr;
}

/// The mean, or the sum, over any axes but the batch's.
class Mean final : public Layer {
 public:
  std::string_view name() const override { return "mean"; }

  Answer takes(const Graph& graph, const Node& node) const override {
    const ReduceAttributes* a = reduction(node.op.get());
    return a == nullptr || !reads_activations(node) ? not_mine() : takes_reduction(*a, graph, node);
  }

  void lower(const Lowering& from, Instruction& step, Grid& y) const override {
    const int64_t count = reduced_count(*reduction(step.op.get()), from.graph.spec(from.node.inputs[0]).shape);
    within(text(from.node.name, ": the ", step.op->name()), [&] { expect_sum(count, from.x[0].dtype); });
    const bool sum = step.op->name() == "sum";
    step.rescale.push_back(from.rescaling(
        [&](const Datapath& d) { return sum ? d.accumulator(from.x[0].scale, y) : d.mean(from.x[0].scale, count, y); },
        count * from.x[0].bounds.reach()));
  }

  void run(const Running& r, Tensor& y) const override {
    Tensor acc = Tensor::zeros(r.shape, DType::int32);
    auto* sums_of_all = acc.mutable_data<int32_t>();
    with_integers(r.x[0], [&](const auto* in) {
      reduce(*reduction(r.step.op.get()), r.x[0].shape(), in, sums_of_all, kernel::integers_of(in).accumulate,
             [](int32_t sum, int32_t q) { return sum + q; });
    });
    rescale(r, r.step.rescale, Tensor(), y,
            [=](int64_t at, int64_t count, int32_t* sums) { std::copy_n(sums_of_all + at, count, sums); });
  }

  void check(const IntegerProgram& program, const Instruction& step) const override {
    expect_operation(step, 1, {"mean", "sum"});
    const Value& x = input(program, step, 0);
    expect_reduction(*reduction(step.op.get()), x.shape);
    expect_sum(reduced_count(*reduction(step.op.get()), x.shape), x.dtype);
  }

  std::vector<Reach> reaches(const IntegerProgram& program, const Instruction& step) const override {
    return {{reduced_count(*reduction(step.op.get()), input(program, step, 0).shape) * reach(program, step, 0), 0}};
  }

  std::vector<std::vector<size_t>> channels(Channels& channels, const Graph& graph, const Node& node) const override {
    const int rank = graph.spec(node.inputs[0]).shape.rank();
    if (reduced_axes(*reduction(node.op.get()), rank).back()) return channels.pinned_at(node);
    return {channels.ids(node.inputs[0])};
  }
};

}  // namespace

const Layer& mean_layer() {
  static const Mean layer;
  return layer;
}

}  // namespace sinter::quant
