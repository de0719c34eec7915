#include "matmul.h"

#include "../gemm.h"
#include "broadcast.h"
#include "matmul_products.h"

namespace sinter {

namespace ops {

namespace {

// f(product, whether its result adds to what there is): one after the other where several have one result.
template <class F>
void each_product(const std::vector<int64_t>& results, bool shared, const F& f) {
  const auto count = static_cast<int64_t>(results.size());
  if (!shared)
    return parallel_for(count, 1, [&](int64_t begin, int64_t end) {
      for (int64_t i = begin; i < end; ++i) f(i, false);
    });
  std::vector<bool> there;
  for (int64_t i = 0; i < count; ++i) {
    const auto result = static_cast<size_t>(results[static_cast<size_t>(i)]);
    if (there.size() <= result) there.resize(result + 1);
    f(i, static_cast<bool>(there[result]));
    there[result] = true;
  }
}

}  // namespace

Specs Matmul::infer(std::span<const Spec> x) const {
  expect_float("matmul", x, 2);
  const Shape &a = x[0].shape, &b = x[1].shape;
  const bool ta = attributes.transpose_a, tb = attributes.transpose_b;
  bool fits = a.rank() >= 2 && b.rank() >= 2 && a[ta ? -2 : -1] == b[tb ? -1 : -2];
  for (int axis = -3; fits && -axis <= std::min(a.rank(), b.rank()); --axis)
    fits = a[axis] == b[axis] || a[axis] == 1 || b[axis] == 1;
  check(fits, "matmul: inputs are ", a, " and ", b, ", expected ", ta ? "[...,K,M]" : "[...,M,K]", " and ",
        tb ? "[N,K] or [...,N,K]" : "[K,N] or [...,K,N]");
  const Shape all = broadcast_shape("matmul", leading(a), leading(b));
  std::vector<int64_t> sizes(all.begin(), all.end());
  sizes.push_back(a[ta ? -1 : -2]);
  sizes.push_back(b[tb ? -2 : -1]);
  return {{DType::float32, Shape(sizes)}};
}

void Matmul::forward(Inputs x, Outputs y, Context& context) const {
  context.keep(x[0]);
  context.keep(x[1]);
  const Products p(attributes, x[0].shape(), x[1].shape());
  const float *a = x[0].data<float>(), *b = x[1].data<float>();
  float* out = y[0].mutable_data<float>();
  each_product(p.a, false, [&](int64_t i, bool) {
    const auto at = static_cast<size_t>(i);
    onednn::gemm({.rows = p.m,
                  .columns = p.n,
                  .depth = p.k,
                  .transpose_a = attributes.transpose_a,
                  .transpose_b = attributes.transpose_b},
                 a + p.a[at] * p.m * p.k, b + p.b[at] * p.k * p.n, out + i * p.m * p.n);
  });
}

void Matmul::backward(const Context& context, Outputs dy, Gradients& dx) const {
  const Tensor a = context.kept(0), b = context.kept(1);
  const Products p(attributes, a.shape(), b.shape());
  if (p.count() == 0) return zero_gradients(context, dx);
  const bool ta = attributes.transpose_a, tb = attributes.transpose_b;
  const float *g = dy[0].data<float>(), *in_a = a.data<float>(), *in_b = b.data<float>();
  if (dx.wanted(0)) {
    float* out = dx.create(0).mutable_data<float>();
    each_product(p.a, p.shared_a, [&](int64_t i, bool adds) {
      const float *dc = g + i * p.m * p.n, *w = in_b + p.b[static_cast<size_t>(i)] * p.k * p.n;
      float* da = out + p.a[static_cast<size_t>(i)] * p.m * p.k;
      if (ta)
        onednn::gemm(
            {.rows = p.k, .columns = p.m, .depth = p.n, .transpose_a = tb, .transpose_b = true, .accumulate = adds}, w,
            dc, da);
      else
        onednn::gemm({.rows = p.m, .columns = p.k, .depth = p.n, .transpose_b = !tb, .accumulate = adds}, dc, w, da);
    });
  }
  if (dx.wanted(1)) {
    float* out = dx.create(1).mutable_data<float>();
    each_product(p.b, p.shared_b, [&](int64_t i, bool adds) {
      const float *dc = g + i * p.m * p.n, *v = in_a + p.a[static_cast<size_t>(i)] * p.m * p.k;
      float* db = out + p.b[static_cast<size_t>(i)] * p.k * p.n;
      if (tb)
        onednn::gemm(
            {.rows = p.n, .columns = p.k, .depth = p.m, .transpose_a = true, .transpose_b = ta, .accumulate = adds}, dc,
            v, db);
      else
        onednn::gemm({.rows = p.k, .columns = p.n, .depth = p.m, .transpose_a = !ta, .accumulate = adds}, v, dc, db);
    });
  }
}

int64_t Matmul::macs(std::span<const Spec> x) const {
  return infer(x)[0].shape.elements() * x[0].shape[attributes.transpose_a ? -2 : -1];
}

}  // namespace ops

Tensor matmul(const Tensor& a, const Tensor& b) { return call(ops::Matmul{}, a, b); }
Tensor matmul(const Tensor& a, const Tensor& b, const MatmulAttributes& attributes) {
  return call(ops::Matmul{attributes}, a, b);
}

}  // namespace sinter
