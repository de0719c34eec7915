#include "index_select.h"

#include "../autograd.h"
#include "runs.h"

namespace sinter {

namespace ops {

Specs IndexSelect::infer(std::span<const Spec> x) const {
  check(x.size() == 2, "index_select: got ", x.size(), " inputs, expected 2");
  const int axis = normalize_axis(attributes.axis, x[0].shape.rank(), "index_select");
  check(x[1].dtype == DType::int64 && x[1].shape.rank() == 1, "index_select: index is ", x[1], ", expected int64 [K]");
  return {{x[0].dtype, x[0].shape.with(axis, x[1].shape[0])}};
}

void IndexSelect::forward(Inputs x, Outputs y, Context& context) const {
  const int axis = normalize_axis(attributes.axis, x[0].rank(), "index_select");
  const int64_t size = x[0].size(axis), taken = x[1].elements();
  const auto index = x[1].values<int64_t>();
  for (const int64_t i : index)
    check(i >= 0 && i < size, "index_select: index ", i, " is none of the ", size, " of axis ", axis);
  const int64_t bytes = run_bytes(x[0].spec(), axis + 1), outer = runs(x[0].shape(), axis);
  const std::byte* in = detail::Access::storage(x[0])->data();
  std::byte* out = detail::Access::storage(y[0])->data();
  constexpr int64_t kGrain = 1 << 16;  // bytes a thread copies at least
  if (bytes > 0)
    parallel_for(outer * taken, std::max<int64_t>(1, kGrain / bytes), [&](int64_t begin, int64_t end) {
      for (int64_t i = begin; i < end; ++i)
        copy_runs_here(in + (i / taken * size + index[static_cast<size_t>(i % taken)]) * bytes, 0, out + i * bytes, 0,
                       bytes, 1);
    });
  context.keep(x[1]);
}

void IndexSelect::backward(const Context& context, Outputs dy, Gradients& dx) const {
  if (!dx.wanted(0)) return;
  const Shape& shape = context.input(0).shape;
  const int axis = normalize_axis(attributes.axis, shape.rank(), "index_select");
  const Tensor kept = context.kept(0);
  const auto index = kept.values<int64_t>();
  const int64_t size = shape[axis], taken = kept.elements(), outer = runs(shape, axis);
  const int64_t inner = run_bytes({DType::float32, shape}, axis + 1) / size_of(DType::float32);
  Tensor result = Tensor::zeros(shape);
  const float* gradient = dy[0].data<float>();
  float* out = result.mutable_data<float>();
  // An index may come twice: a thread takes all of them for some of the elements behind the axis.
  constexpr int64_t kBlock = 1 << 10;
  const int64_t blocks = (inner + kBlock - 1) / kBlock;
  parallel_for(outer * blocks, 1, [&](int64_t begin, int64_t end) {
    for (int64_t task = begin; task < end; ++task) {
      const int64_t run = task / blocks, from = task % blocks * kBlock, to = std::min(inner, from + kBlock);
      for (int64_t k = 0; k < taken; ++k) {
        float* sum = out + (run * size + index[static_cast<size_t>(k)]) * inner;
        const float* term = gradient + (run * taken + k) * inner;
        for (int64_t i = from; i < to; ++i) sum[i] += term[i];
      }
    }
  });
  dx.set(0, std::move(result));
}

}  // namespace ops

Tensor index_select(const Tensor& x, const Tensor& index, int64_t axis) {
  return call(ops::IndexSelect{{axis}}, x, index);
}

}  // namespace sinter
