#include <limits>

#include "../../core/error.h"
#include "../../core/ops/matmul.h"
#include "../../core/ops/slice.h"
#include "../../core/within.h"
#include "../integer/conv.h"
#include "checks.h"
#include "rescale.h"

namespace sinter::quant {

namespace {

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
    struct Product {
      Tensor values;
      int shift;
    };
    std::vector<Product> products;  // their sum, each times 2^shift, is the result
    const NoGrad no_grad;
    const std::vector<Part> lefts = parts_of(r.x[0]), rights = parts_of(r.x[1]);
    for (const Part& left : lefts)
      for (const Part& right : rights) {
        const int64_t piece = (1 << 24) / (left.reach * right.reach);  // which float sums exactly
        for (int64_t begin = 0; begin < depth; begin += piece) {
          const auto some = [&](const Tensor& x, int64_t axis) {
            if (piece >= depth) return x;
            return slice(x, {.axis = axis, .begin = begin, .end = std::min(begin + piece, depth)});
          };
          products.push_back(
              {matmul(some(left.values, a.transpose_a ? -2 : -1), some(right.values, a.transpose_b ? -1 : -2), a),
               left.shift + right.shift});
        }
      }
    rescale(r, r.step.rescale, Tensor(), y, [&](int64_t at, int64_t count, int32_t* sums) {
      std::fill_n(sums, count, 0);
      for (const Product& product : products) {
        const float* values = product.values.data<float>() + at;
        const int shift = product.shift;       // not read anew for every sum that is written
        for (int64_t i = 0; i < count; ++i) {  // modulo 2^32, which holds the whole
          const auto value = static_cast<uint32_t>(static_cast<int32_t>(values[i]));
          sums[i] = static_cast<int32_t>(static_cast<uint32_t>(sums[i]) + (value << shift));
        }
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
  // float32 of magnitudes up to `reach`, times 2^shift.
  struct Part {
    Tensor values;
    int64_t reach;
    int shift;
  };

  // int8 as it is, int16 by bytes, as 256 high + low.
  static std::vector<Part> parts_of(const Tensor& x) {
    if (x.dtype() == DType::int8) return {{x.to(DType::float32), 128, 0}};
    Tensor high = Tensor::empty(x.shape()), low = Tensor::empty(x.shape());
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
