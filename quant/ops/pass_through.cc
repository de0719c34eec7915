#include "pass_through.h"

#include <algorithm>

#include "../../core/parallel.h"

namespace sinter::quant {

namespace {

constexpr int64_t kGrain = 1 << 15;

template <class From, class To>
void convert(const Tensor& from, Tensor& to) {
  const From* in = from.data<From>();
  To* out = to.mutable_data<To>();
  parallel_for(from.elements(), kGrain, [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) out[i] = static_cast<To>(in[i]);
  });
}

Specs as_type(Specs specs, DType dtype) {
  for (Spec& spec : specs) spec.dtype = dtype;
  return specs;
}

}  // namespace

Specs OnIntegers::infer(std::span<const Spec> x) const {
  return as_type(op->infer(as_type(Specs(x.begin(), x.end()), DType::float32)), DType::int8);
}

void OnIntegers::forward(Inputs x, Outputs y, Context& context) const {
  if (op->aliasing() == Aliasing::view) {
    op->forward(x, y, context);
  } else {
    Tensor in = Tensor::empty(x[0].shape()), out = Tensor::empty(y[0].shape());
    convert<int8_t, float>(x[0], in);
    op->forward({&in, 1}, {&out, 1}, context);
    convert<float, int8_t>(out, y[0]);
  }
  if (pass->inspect) pass->inspect(node, y[0]);
}

void OnIntegers::backward(const Context& context, Outputs dy, Gradients& dx) const { op->backward(context, dy, dx); }

void QuantizedClamp::forward(Inputs x, Outputs y, Context& context) const {
  const int8_t* in = x[0].data<int8_t>();
  auto* out = y[0].mutable_data<int8_t>();
  const auto low = static_cast<int8_t>(bounds.low), high = static_cast<int8_t>(bounds.high);
  parallel_for(x[0].elements(), kGrain, [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) out[i] = std::clamp(in[i], low, high);
  });
  if (context.recording()) {
    // The real 6 counts: the largest integer may stand for a little less, where the gradient still passes.
    const double limit = activation == Activation::relu6 ? 6.0 / scale : INFINITY;
    Tensor mask = Tensor::empty({x[0].elements()}, DType::uint8);
    auto* inside = mask.mutable_data<uint8_t>();
    for (int64_t i = 0; i < x[0].elements(); ++i) inside[i] = in[i] > 0 && in[i] < limit;
    context.keep(mask);
  }
  if (pass->inspect) pass->inspect(node, y[0]);
}

void QuantizedClamp::backward(const Context& context, Outputs dy, Gradients& dx) const {
  dx.set(0, through_mask(context, 0, dy[0]));
}

}  // namespace sinter::quant
