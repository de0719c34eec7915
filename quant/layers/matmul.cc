#include <algorithm>
#include <limits>

#include "../../core/error.h"
#include "../../core/gemm.h"
#include "../../core/ops/matmul_products.h"
#include "../../core/ops/slice.h"
#include "../../core/within.h"
#include "../integer/conv.h"
#include "checks.h"
#include "rescale.h"

namespace sinter::quant {

namespace {

// Of a block of the result: a few hundred KiB.
constexpr int64_t kValues = 1 << 16;

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

  void run(const Running& r, Tensor& y) const override {
    const auto& a = attributes_of<ops::Matmul>(r.step);
    const int64_t depth = depth_of(a, r.x[0].shape());
    std::vector<Factors> factors;  // their products, each times 2^shift, add up to the result
    const std::vector<Part> lefts = parts_of(r.x[0]), rights = parts_of(r.x[1]);
    for (const Part& left : lefts)
      for (const Part& right : rights) {
        const int64_t piece = (1 << 24) / (left.reach * right.reach);  // which float sums exactly
        for (int64_t begin = 0; begin < depth; begin += piece) {
          const auto some = [&](const Tensor& x, int64_t axis) {
            const NoGrad no_grad;
            if (piece >= depth) return x;
            return slice(x, {.axis = axis, .begin = begin, .end = std::min(begin + piece, depth)});
          };
          factors.push_back({some(left.values, a.transpose_a ? -2 : -1), some(right.values, a.transpose_b ? -1 : -2),
                             left.shift + right.shift, std::min(piece, depth - begin)});
        }
      }
    multiply(r, factors, y);
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
  // float32 of magnitudes up to `reach`, times 2^shift.
  struct Part {
    Tensor values;
    int64_t reach;
    int shift;
  };

  struct Factors {
    Tensor a, b;
    int shift;
    int64_t depth;
  };

  // A matrix of the result at a time, or some rows of a tall one: what is rescaled is in cache.
  static void multiply(const Running& r, const std::vector<Factors>& factors, Tensor& y) {
    if (y.elements() == 0) return;
    const auto& a = attributes_of<ops::Matmul>(r.step);
    const ops::Products products(a, r.x[0].shape(), r.x[1].shape());
    const auto rescaler = r.march.datapath->rescaler({{0}, r.step.rescale, r.y.bounds});
    const IntegersAt<void> out = integers_at(y);
    const int64_t n = products.n;
    const int64_t rows =
        a.transpose_a ? products.m : std::clamp<int64_t>(kValues / std::max<int64_t>(n, 1), 1, products.m);
    const int64_t blocks = (products.m + rows - 1) / rows;
    parallel_for(products.count() * blocks, 1, [&](int64_t begin, int64_t end) {
      std::vector<float> real(static_cast<size_t>(rows * n));
      std::vector<int32_t> sums(real.size());
      for (int64_t i = begin; i < end; ++i) {
        const auto matrix = static_cast<size_t>(i / blocks);
        const int64_t first = i % blocks * rows, count = std::min(rows, products.m - first);
        for (size_t f = 0; f < factors.size(); ++f) {
          const int64_t k = factors[f].depth;
          onednn::gemm(
              {.rows = count, .columns = n, .depth = k, .transpose_a = a.transpose_a, .transpose_b = a.transpose_b},
              factors[f].a.data<float>() + products.a[matrix] * products.m * k + first * k,
              factors[f].b.data<float>() + products.b[matrix] * k * n, real.data());
          kernel::integer_kernels().whole(real.data(), factors[f].shift, f > 0, count * n, sums.data());
        }
        rescaler->run({.count = 1,
                       .length = count * n,
                       .acc = sums.data(),
                       .y = out.at((i / blocks * products.m + first) * n),
                       .y_type = out.type});
      }
    });
  }

  // int8 as it is, int16 by bytes, as 256 high + low.
  static std::vector<Part> parts_of(const Tensor& x) {
    Tensor high = Tensor::empty(x.shape());
    if (x.dtype() == DType::int8) {
      const int8_t* in = x.data<int8_t>();
      float* out = high.mutable_data<float>();
      parallel_for(x.elements(), kGrain, [&](int64_t begin, int64_t end) {
        kernel::integers_of(in).real(in + begin, 1, end - begin, out + begin);
      });
      return {{high, 128, 0}};
    }
    Tensor low = Tensor::empty(x.shape());
    const auto* in = x.data<int16_t>();
    float *upper = high.mutable_data<float>(), *lower = low.mutable_data<float>();
    parallel_for(x.elements(), kGrain, [&](int64_t begin, int64_t end) {
      for (int64_t i = begin; i < end; ++i) {
        upper[i] = static_cast<float>(in[i] >> 8);
        lower[i] = static_cast<float>(in[i] & 255);
      }
    });
    return {{high, 128, 8}, {low, 255, 0}};
  }
};

}  // namespace

const Layer& matmul_layer() {
  static const Matmul layer;
  return layer;
}

}  // namespace sinter::quant
