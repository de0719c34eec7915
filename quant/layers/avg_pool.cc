#include <algorithm>
#include <set>

#include "../../core/error.h"
#include "../../core/kernel/integers.h"
#include "../../core/ops/avg_pool2d.h"
#include "../../core/within.h"
#include "../integer/pool_rows.h"
#include "../post_training/channels.h"
#include "checks.h"
#include "rescale.h"

namespace sinter::quant {

namespace {

// The windows of an average pooling, and how many values each one's mean counts.
struct Plan {
  ops::PoolPlan windows;
  std::vector<int64_t> row_counts{}, column_counts{};  // by output row and column
  std::vector<int64_t> counts{};                       // all there are, ascending

  Plan(const AvgPoolAttributes& a, const Shape& x, const Shape& y)
      : windows({a.kernel, a.stride, a.padding, 1, a.ceil_mode}, x, y) {
    const Pair kernel = a.kernel;
    for (const ops::Taps& taps : windows.rows)
      row_counts.push_back(ops::counted(taps, x[1], kernel.h, a.padding.h, a.count_include_pad));
    for (const ops::Taps& taps : windows.columns)
      column_counts.push_back(ops::counted(taps, x[2], kernel.w, a.padding.w, a.count_include_pad));
    std::set<int64_t> distinct;
    for (const int64_t rows : std::set<int64_t>(row_counts.begin(), row_counts.end()))
      for (const int64_t columns : std::set<int64_t>(column_counts.begin(), column_counts.end()))
        distinct.insert(rows * columns);
    counts.assign(distinct.begin(), distinct.end());
  }

  int64_t count(int64_t row, int64_t column) const {
    return row_counts[static_cast<size_t>(row)] * column_counts[static_cast<size_t>(column)];
  }
};

template <class X>
void pool(const Running& r, const X* in, Tensor& y) {
  const auto& a = attributes_of<ops::AvgPool2d>(r.step);
  const Shape& x = r.x[0].shape();
  const Plan plan(a, x, r.shape);
  const int64_t rows = y.size(1), columns = y.size(2), channels = y.size(3);
  const IntegersAt<void> out = integers_at(y);
  std::vector<std::unique_ptr<const Rescaler>> rescalers;  // for each count of values
  for (const Rescaling& by : r.step.rescale) rescalers.push_back(r.march.datapath->rescaler({{0}, {by}, r.y.bounds}));
  // The index of a window's rescaling.
  const auto which = [&](int64_t row, int64_t column) {
    return std::lower_bound(plan.counts.begin(), plan.counts.end(), plan.count(row, column)) - plan.counts.begin();
  };
  each_pooled_row({a.kernel, a.stride, a.padding, 1, a.ceil_mode}, x, r.shape, in, int32_t{0},
                  kernel::integers_of(in).accumulate, kernel::integer_kernels().sums,
                  [&](int64_t task, const int32_t* sums) {
                    const int64_t row = task % rows;
                    for (int64_t first = 0, last = 0; first < columns; first = last) {
                      const auto index = which(row, first);
                      while (last < columns && which(row, last) == index) ++last;
                      rescalers[static_cast<size_t>(index)]->run({.count = 1,
                                                                  .length = (last - first) * channels,
                                                                  .acc = sums + first * channels,
                                                                  .y = out.at((task * columns + first) * channels),
                                                                  .y_type = out.type});
                    }
                  });
}

/// avg_pool2d: sums of windows, a rescaling for each count of values that there is, ascending.
class AvgPool final : public Layer {
 public:
  std::string_view name() const override { return "avg_pool"; }

  Answer takes(const Graph&, const Node& node) const override {
    return node.op->name() == "avg_pool2d" ? yes() : not_mine();
  }

  void lower(const Lowering& from, Instruction& step, Grid& y) const override {
    const Node& node = from.node;
    const Plan plan(*attributes_of<ops::AvgPool2d>(node), from.graph.spec(node.inputs[0]).shape, node.outputs[0].shape);
    within(node.name + ": the mean", [&] { expect_sum(plan.counts.back(), from.x[0].dtype); });
    for (const int64_t count : plan.counts)
      step.rescale.push_back(from.rescaling([&](const Datapath& d) { return d.mean(from.x[0].scale, count, y); },
                                            count * from.x[0].bounds.reach()));
  }

  void run(const Running& r, Tensor& y) const override {
    with_integers(r.x[0], [&](const auto* in) { pool(r, in, y); });
  }

  void check(const IntegerProgram& program, const Instruction& step) const override {
    expect_operation(step, 1, {"avg_pool2d"});
    expect_sum(counts(program, step).back(), input(program, step, 0).dtype);
  }

  std::vector<Reach> reaches(const IntegerProgram& program, const Instruction& step) const override {
    std::vector<Reach> all;
    for (const int64_t count : counts(program, step)) all.push_back({count * reach(program, step, 0), 0});
    return all;
  }

  std::vector<std::vector<size_t>> channels(Channels& channels, const Graph&, const Node& node) const override {
    return {channels.ids(node.inputs[0])};
  }

 private:
  static std::vector<int64_t> counts(const IntegerProgram& program, const Instruction& step) {
    const Shape &x = input(program, step, 0).shape, &y = program.values[static_cast<size_t>(step.output)].shape;
    return Plan(attributes_of<ops::AvgPool2d>(step), x, y).counts;
  }
};

}  // namespace

const Layer& avg_pool_layer() {
  static const AvgPool layer;
  return layer;
}

}  // namespace sinter::quant
