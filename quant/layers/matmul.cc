#include <algorithm>
#include <limits>

#include "../../core/error.h"
#include "../../core/kernel/matrices.h"
#include "../../core/ops/matmul_products.h"
#include "../../core/within.h"
#include "checks.h"
#include "rescale.h"

namespace sinter::quant {

namespace {

// Of a block of the result, and its rows, which are worth packing the other operand for.
constexpr int64_t kValues = 1 << 13, kLeastRows = 32;

// How many products a sum has.
int64_t depth_of(const MatmulAttributes& a, const Shape& x) { return x[a.transpose_a ? -2 : -1]; }

// 32 bits hold sums of so many products of values that reach so far.
void expect_products(int64_t depth, int64_t reach) {
  check(static_cast<double>(depth) * static_cast<double>(reach) <= std::numeric_limits<int32_t>::max(), "adds ", depth,
        " products that reach ", reach, ", which could overflow 32 bits");
}

/// The product of matrices on the last two axes of two activations, whose leading axes broadcast: sums of products,
/// rescaled.
class Matmul final : public Layer {
 public:
  std::string_view name() const override { return "matmul"; }

  Answer takes(const Graph& graph, const Node& node) const override {
    if (node.op->name() != "matmul") return not_mine();
    if (!reads_activations(node)) return refused("one of its operands is a number or a parameter; use nn::Linear");
    const Shape &a = graph.spec(node.inputs[0]).shape, &b = graph.spec(node.inputs[1]).shape;
    if (a.rank() < 3 || b.rank() != a.rank())
      return refused(text("it is of ", a, " and ", b, ", expected [N,...,M,K] and [N,...,K,L]"));
    return yes();
  }

  void lower(const Lowering& from, Instruction& step, Grid& y) const override {
    const int64_t depth = depth_of(*attributes_of<ops::Matmul>(from.node), from.graph.spec(from.node.inputs[0]).shape);
    const int64_t reach = from.x[0].bounds.reach() * from.x[1].bounds.reach();
    within(from.node.name + ": the product", [&] { expect_products(depth, reach); });
    const double unit = static_cast<double>(from.x[0].scale) * static_cast<double>(from.x[1].scale);
    step.rescale.push_back(from.rescaling([&](const Datapath& d) { return d.accumulator(unit, y); }, depth * reach));
  }

  // A matrix of the result at a time, or some rows of a large one: what is rescaled is in cache.
  void run(const Running& r, Tensor& y) const override {
    if (y.elements() == 0) return;
    const auto& t = attributes_of<ops::Matmul>(r.step);
    const ops::Products products(t, r.x[0].shape(), r.x[1].shape());
    const auto rescaler = r.march.datapath->rescaler({{0}, r.step.rescale, r.y.bounds});
    const IntegersAt<void> out = integers_at(y);
    const int64_t m = products.m, k = products.k, n = products.n, pairs = (k + 1) / 2;
    const int64_t rows = std::min(m, std::max(kLeastRows, kValues / n / 8 * 8)), blocks = (m + rows - 1) / rows;
    const int64_t panels = (n + kernel::kPanel - 1) / kernel::kPanel;
    parallel_for(products.count() * blocks, 1, [&](int64_t begin, int64_t end) {
      std::vector<int16_t> a(static_cast<size_t>(rows * pairs * 2));
      std::vector<int16_t> b(static_cast<size_t>(panels * kernel::kPanel * pairs * 2));
      std::vector<int32_t> sums(static_cast<size_t>(rows * n));
      for (int64_t i = begin; i < end; ++i) {
        const auto matrix = static_cast<size_t>(i / blocks);
        const int64_t first = i % blocks * rows, count = std::min(rows, m - first);
        with_integers(r.x[0], [&]<class P>(const P* p) {
          kernel::pack_of(p).rows(
              matrix_of(p + products.a[matrix] * m * k + first * (t.transpose_a ? 1 : k), count, k, t.transpose_a, m),
              a.data());
        });
        if (i == begin || products.b[matrix] != products.b[static_cast<size_t>((i - 1) / blocks)])
          with_integers(r.x[1], [&]<class Q>(const Q* q) {
            kernel::pack_of(q).panels(matrix_of(q + products.b[matrix] * k * n, n, k, !t.transpose_b, n), b.data());
          });
        kernel::best_matrix_kernels().product(a.data(), b.data(), count, n, pairs, sums.data());
        rescaler->run({.count = 1,
                       .length = count * n,
                       .acc = sums.data(),
                       .y = out.at((i / blocks * m + first) * n),
                       .y_type = out.type});
      }
    });
  }

  void check(const IntegerProgram& program, const Instruction& step) const override {
    expect_operation(step, 2, {"matmul"});
    const Shape &a = input(program, step, 0).shape, &b = input(program, step, 1).shape;
    sinter::check(a.rank() >= 3 && b.rank() == a.rank(), "is of ", a, " and ", b,
                  ", expected [1,...,M,K] and [1,...,K,L]");
    expect_products(depth_of(attributes_of<ops::Matmul>(step), a), reach(program, step, 0) * reach(program, step, 1));
  }

  std::vector<Reach> reaches(const IntegerProgram& program, const Instruction& step) const override {
    const int64_t depth = depth_of(attributes_of<ops::Matmul>(step), input(program, step, 0).shape);
    return {{depth * reach(program, step, 0) * reach(program, step, 1), 0}};
  }

  int64_t macs(const Instruction& step, const Shape& x, const Shape& y) const override {
    return y.elements() * depth_of(attributes_of<ops::Matmul>(step), x);
  }

 private:
  // `count` rows of `depth` values, or, `by_depth`, those of a matrix [depth,all].
  template <class T>
  static kernel::Matrix<T> matrix_of(const T* x, int64_t count, int64_t depth, bool by_depth, int64_t all) {
    if (by_depth) return {.x = x, .count = count, .depth = depth, .step = 1, .depth_step = all};
    return {.x = x, .count = count, .depth = depth, .step = depth, .depth_step = 1};
  }
};

}  // namespace

const Layer& matmul_layer() {
  static const Matmul layer;
  return layer;
}

}  // namespace sinter::quant
