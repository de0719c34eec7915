#include <algorithm>
#include <limits>

#include "../../core/kernel/integers.h"
#include "../../core/ops/max_pool2d.h"
#include "../integer/pool_rows.h"
#include "../post_training/channels.h"
#include "checks.h"
#include "rescale.h"

namespace sinter::quant {

namespace {

template <class T>
void pool(const ops::PoolWindow& window, const Tensor& x, const T* in, Tensor& y) {
  T* out = y.mutable_data<T>();
  const auto largest = kernel::integers_of(out).largest;
  const int64_t row_elements = y.size(2) * y.size(3);
  each_pooled_row(
      window, x.shape(), y.shape(), in, std::numeric_limits<T>::min(),
      [=](const T* from, int64_t count, T* best) { largest(from, count, count, 1, best); }, largest,
      [=](int64_t row, const T* best) { std::copy_n(best, row_elements, out + row * row_elements); });
}

/// max_pool2d: the largest of each window; padding never wins.
class MaxPool final : public Layer {
 public:
  std::string_view name() const override { return "max_pool"; }

  Answer takes(const Graph&, const Node& node) const override {
    return node.op->name() == "max_pool2d" ? yes() : not_mine();
  }

  bool passes() const override { return true; }
  bool remembers() const override { return true; }

  void run(const Running& r, Tensor& y) const override {
    const auto& a = attributes_of<ops::MaxPool2d>(r.step);
    with_integers(r.x[0], [&](const auto* in) {
      pool({a.kernel, a.stride, a.padding, a.dilation, a.ceil_mode}, r.x[0], in, y);
    });
  }

  void check(const IntegerProgram&, const Instruction& step) const override {
    expect_operation(step, 1, {"max_pool2d"});
  }

  std::vector<std::vector<size_t>> channels(Channels& channels, const Graph&, const Node& node) const override {
    return {channels.ids(node.inputs[0])};
  }
};

}  // namespace

const Layer& max_pool_layer() {
  static const MaxPool layer;
  return layer;
}

}  // namespace sinter::quant
