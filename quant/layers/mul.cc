#include "../integer/strided.h"
#include "checks.h"
#include "rescale.h"

namespace sinter::quant {

namespace {

/// The product of two tensors, which may broadcast.
class Mul final : public Layer {
 public:
  std::string_view name() const override { return "mul"; }

  Answer takes(const Graph& graph, const Node& node) const override {
    return node.op->name() == "mul" ? takes_two(graph, node) : not_mine();
  }

  void lower(const Lowering& from, Instruction& step, Grid& y) const override {
    const double unit = static_cast<double>(from.x[0].scale) * static_cast<double>(from.x[1].scale);
    step.rescale.push_back(from.rescaling([&](const Datapath& d) { return d.accumulator(unit, y); },
                                          from.x[0].bounds.reach() * from.x[1].bounds.reach()));
  }

  void run(const Running& r, Tensor& y) const override {
    const Tensor a = expanded(r.x[0], r.shape), b = expanded(r.x[1], r.shape);
    with_integers(a, [&]<class P>(const P* p) {
      with_integers(b, [&]<class Q>(const Q* q) {
        rescale(r, r.step.rescale, Tensor(), y, [p, q](int64_t at, int64_t count, int32_t* sums) {
          if constexpr (std::is_same_v<P, Q>)
            kernel::integers_of(p).product(p + at, q + at, count, sums);
          else
            for (int64_t i = 0; i < count; ++i) sums[i] = p[at + i] * q[at + i];
        });
      });
    });
  }

  void check(const IntegerProgram& program, const Instruction& step) const override {
    expect_operation(step, 2, {"mul"});
    expect_broadcast(program, step);
  }

  std::vector<Reach> reaches(const IntegerProgram& program, const Instruction& step) const override {
    return {{reach(program, step, 0) * reach(program, step, 1), 0}};
  }
};

}  // namespace

const Layer& mul_layer() {
  static const Mul layer;
  return layer;
}

}  // namespace sinter::quant
