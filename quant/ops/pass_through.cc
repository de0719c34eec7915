#include "pass_through.h"

#include "../../core/kernel/bits.h"
#include "../../core/parallel.h"
#include "../integer/conv.h"
#include "../integer/values.h"

namespace sinter::quant {

namespace {

// Floats that are integers, as int8.
void to_integers(const Tensor& from, Tensor& to) {
  const float* in = from.data<float>();
  auto* out = to.mutable_data<int8_t>();
  parallel_for(from.elements(), 1 << 15, [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) out[i] = static_cast<int8_t>(in[i]);
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
    Tensor in = to_float(x[0]), out = Tensor::empty(y[0].shape());
    op->forward({&in, 1}, {&out, 1}, context);
    to_integers(out, y[0]);
  }
  if (pass->inspect) pass->inspect(node, y[0]);
}

void OnIntegers::backward(const Context& context, Outputs dy, Gradients& dx) const { op->backward(context, dy, dx); }

void QuantizedClamp::forward(Inputs x, Outputs y, Context& context) const {
  clamp(x[0], bounds, y[0]);
  if (context.recording()) {
    // The real 6 counts: the largest integer may stand for a little less, where the gradient still passes.
    const double limit = activation == Activation::relu6 ? 6.0 / scale : INFINITY;
    const int64_t values = x[0].elements(), bytes = kernel::bit_bytes(values);
    const int8_t* in = x[0].data<int8_t>();
    Tensor mask = empty_mask(1, values);
    auto* bits = mask.mutable_data<uint8_t>();
    parallel_for(bytes, 1 << 12, [&](int64_t begin, int64_t end) {
      for (int64_t byte = begin; byte < end; ++byte) {
        int eight = 0;
        for (int64_t i = 8 * byte; i < std::min(8 * byte + 8, values); ++i)
          eight |= (in[i] > 0 && in[i] < limit) << i % 8;
        bits[byte] = static_cast<uint8_t>(eight);
      }
    });
    context.keep(mask);
  }
  if (pass->inspect) pass->inspect(node, y[0]);
}

void QuantizedClamp::backward(const Context& context, Outputs dy, Gradients& dx) const {
  dx.set(0, through_mask(context, 0, dy[0]));
}

}  // namespace sinter::quant
