#include "matmul.h"

#include "../gemm.h"
#include "elementwise.h"

namespace sinter {

namespace ops {

namespace {

// With one b for all, the leading axes are rows of a single product.
struct Products {
  int64_t count = 1, m, k, n;
  Products(const Shape& a, const Shape& b) : m(a[-2]), k(a[-1]), n(b[-1]) {
    if (b.rank() == 2) {
      for (int axis = 0; axis < a.rank() - 2; ++axis) m *= a[axis];
    } else {
      for (int axis = 0; axis < a.rank() - 2; ++axis) count *= a[axis];
    }
  }
};

}  // namespace

Specs Matmul::infer(std::span<const Spec> x) const {
  expect_float("matmul", x, 2);
  const Shape &a = x[0].shape, &b = x[1].shape;
  const bool ranks = a.rank() >= 2 && (b.rank() == 2 || b.rank() == a.rank());
  check(ranks, "matmul: inputs are ", a, " and ", b, ", expected [...,M,K] and [K,N] or [...,K,N]");
  bool fits = a[-1] == b[-2];
  if (b.rank() > 2)
    for (int axis = 0; axis < a.rank() - 2; ++axis) fits = fits && a[axis] == b[axis];
  check(fits, "matmul: inputs are ", a, " and ", b, ", expected [...,M,K] and [K,N] or [...,K,N]");
  return {{DType::float32, a.with(-1, b[-1])}};
}

void Matmul::forward(Inputs x, Outputs y, Context& context) const {
  context.keep(x[0]);
  context.keep(x[1]);
  const Products p(x[0].shape(), x[1].shape());
  float* out = y[0].mutable_data<float>();
  for (int64_t i = 0; i < p.count; ++i)
    onednn::gemm({.rows = p.m, .columns = p.n, .depth = p.k}, x[0].data<float>() + i * p.m * p.k,
                 x[1].data<float>() + i * p.k * p.n, out + i * p.m * p.n);
}

void Matmul::backward(const Context& context, Outputs dy, Gradients& dx) const {
  const Tensor a = context.kept(0), b = context.kept(1);
  const Products p(a.shape(), b.shape());
  const float* g = dy[0].data<float>();
  if (dx.wanted(0)) {
    float* out = dx.create(0).mutable_data<float>();
    for (int64_t i = 0; i < p.count; ++i)
      onednn::gemm({.rows = p.m, .columns = p.k, .depth = p.n, .transpose_b = true}, g + i * p.m * p.n,
                   b.data<float>() + i * p.k * p.n, out + i * p.m * p.k);
  }
  if (dx.wanted(1)) {
    float* out = dx.create(1).mutable_data<float>();
    for (int64_t i = 0; i < p.count; ++i)
      onednn::gemm({.rows = p.k, .columns = p.n, .depth = p.m, .transpose_a = true}, a.data<float>() + i * p.m * p.k,
                   g + i * p.m * p.n, out + i * p.k * p.n);
  }
}

int64_t Matmul::macs(std::span<const Spec> x) const { return x[0].shape.elements() * x[1].shape[-1]; }

}  // namespace ops

Tensor matmul(const Tensor& a, const Tensor& b) { return call(ops::Matmul{}, a, b); }

}  // namespace sinter
