#include <algorithm>
#include <array>
#include <cstring>

#include "../../core/error.h"
#include "../../core/ops/concat.h"
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
    const auto axis = static_cast<size_t>(normalize_axis(attributes_of<ops::Concat>(r.step).axis, y.rank(), "concat"));
    const int64_t all = strides_of(y.shape())[axis] * y.size(static_cast<int>(axis));
    int64_t first = 0;  // in a row of y
    for (size_t i = 0; i < r.x.size(); ++i) {
      const Shape& shape = r.x[i].shape();
      const int64_t row = strides_of(shape)[axis] * shape[static_cast<int>(axis)];
      if (r.x[i].elements() > 0)
        with_integers(r.x[i], [&](const auto* in) {
          const auto into = [&](auto* out) {
            join(r, r.step.rescale[i], in, r.x[i].elements(), row, out + first, all);
          };
          y.dtype() == DType::int16 ? into(y.mutable_data<int16_t>()) : into(y.mutable_data<int8_t>());
        });
      first += row;
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

 private:
  // A call to copy a few bytes takes longer than to copy them, some twice.
  template <class Y>
  static void copy(const Y* from, int64_t count, Y* to) {
    constexpr int64_t kVector = 16 / sizeof(Y);
    if (count < kVector || count > 8 * kVector) {
      std::copy_n(from, count, to);
      return;
    }
    for (int64_t i = 0; i + kVector < count; i += kVector) std::memcpy(to + i, from + i, 16);
    std::memcpy(to + count - kVector, from + count - kVector, 16);
  }

  // Rows of x, rescaled a piece at a time, as parts of y's rows.
  template <class X, class Y>
  static void join(const Running& r, const Rescaling& by, const X* x, int64_t elements, int64_t row, Y* y,
                   int64_t all) {
    const auto rescaler = r.march.datapath->rescaler({{0}, {by}, r.y.bounds});
    constexpr int64_t kPiece = 1 << 11;
    const int64_t each = row < kPiece ? kPiece / row * row : kPiece;
    parallel_for((elements + each - 1) / each, std::max<int64_t>(1, kGrain / each), [&](int64_t begin, int64_t end) {
      std::array<int32_t, kPiece> sums;
      std::array<Y, kPiece> out;
      for (int64_t at = begin * each; at < std::min(end * each, elements); at += each) {
        const int64_t count = std::min(each, elements - at);
        kernel::integers_of(x).widen(x + at, count, sums.data());
        rescaler->run({.count = 1,
                       .length = count,
                       .acc = sums.data(),
                       .y = out.data(),
                       .y_type = sizeof(Y) == 2 ? DType::int16 : DType::int8});
        int64_t column = at % row;
        Y* to = y + at / row * all;
        for (int64_t done = 0; done < count; column = 0, to += all) {
          const int64_t run = std::min(row - column, count - done);
          copy(out.data() + done, run, to + column);
          done += run;
        }
      }
    });
  }
};

}  // namespace

const Layer& concat_layer() {
  static const Concat layer;
  return layer;
}

}  // namespace sinter::quant
