#include <algorithm>
#include <limits>

#include "../../core/ops/reduce.h"
#include "../post_training/channels.h"
#include "checks.h"
#include "reduced.h"
#include "rescale.h"

namespace sinter::quant {

namespace {

const ReduceAttributes* reduction(const Op* op) {
  const auto* all = dynamic_cast<const ops::Reduce*>(op);
  return all != nullptr && (op->name() == "max" || op->name() == "min") ? &all->attributes : nullptr;
}

/// The largest, or least, value over any axes but the batch's.
class Max final : public Layer {
 public:
  std::string_view name() const override { return "max"; }

  Answer takes(const Graph& graph, const Node& node) const override {
    const ReduceAttributes* a = reduction(node.op.get());
    return a == nullptr || !reads_activations(node) ? not_mine() : takes_reduction(*a, graph, node);
  }

  bool passes() const override { return true; }
  bool remembers() const override { return true; }

  void run(const Running& r, Tensor& y) const override {
    const bool largest = r.step.op->name() == "max";
    with_integers(r.x[0], [&]<class T>(const T* in) {
      T* out = y.mutable_data<T>();
      std::fill_n(out, y.elements(), largest ? std::numeric_limits<T>::min() : std::numeric_limits<T>::max());
      const auto& kernels = kernel::integers_of(in);
      const auto rows = [of = largest ? kernels.largest : kernels.least](const T* from, int64_t count, T* to) {
        of(from, count, count, 1, to);
      };
      const auto& a = *reduction(r.step.op.get());
      if (largest)
        reduce(a, r.x[0].shape(), in, out, rows, [](T p, T q) { return std::max(p, q); });
      else
        reduce(a, r.x[0].shape(), in, out, rows, [](T p, T q) { return std::min(p, q); });
    });
  }

  void check(const IntegerProgram& program, const Instruction& step) const override {
    expect_operation(step, 1, {"max", "min"});
    expect_reduction(*reduction(step.op.get()), input(program, step, 0).shape);
  }

  std::vector<std::vector<size_t>> channels(Channels& channels, const Graph& graph, const Node& node) const override {
    const int rank = graph.spec(node.inputs[0]).shape.rank();
    if (reduced_axes(*reduction(node.op.get()), rank).back()) return channels.pinned_at(node);
    return {channels.ids(node.inputs[0])};
  }
};

}  // namespace

const Layer& max_layer() {
  static const Max layer;
  return layer;
}

}  // namespace sinter::quant
