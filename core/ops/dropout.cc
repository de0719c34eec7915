#include "dropout.h"

#include "../random.h"
#include "elementwise.h"

namespace sinter {

namespace ops {

Dropout::Dropout(const DropoutAttributes& a) : OpWith(a) {
  check(a.p >= 0 && a.p < 1, name(), ": p is ", a.p, ", expected 0 <= p < 1");
}

Specs Dropout::infer(std::span<const Spec> x) const {
  expect_float(name(), x, 1);
  return {x[0]};
}

namespace {

// y = x / (1 - p) where the mask says so, else x times 0; y may be x.
void drop(const DropoutAttributes& a, const Tensor& x, const Tensor& mask, Tensor& y) {
  const auto scale = static_cast<float>(1 / (1 - a.p));
  const float* in = x.data<float>();
  const uint8_t* stays = mask.data<uint8_t>();
  float* out = y.mutable_data<float>();
  parallel_for(x.elements(), kElementwiseGrain, [&](int64_t begin, int64_t end) {
    kernel::functions().dropout(stays + begin, in + begin, end - begin, scale, out + begin);
  });
}

}  // namespace

void Dropout::forward(Inputs x, Outputs y, Context& context) const {
  if (!context.training()) {
    y[0].copy_from(x[0]);  // nothing where y took x's elements
    return;
  }
  Tensor mask = Tensor::empty(x[0].shape(), DType::uint8);
  fill_bernoulli({mask.mutable_data<uint8_t>(), static_cast<size_t>(mask.elements())}, default_random(),
                 1 - attributes.p);
  drop(attributes, x[0], mask, y[0]);
  context.keep(mask);
}

void Dropout::backward(const Context& context, Outputs dy, Gradients& dx) const {
  if (!context.training()) return dx.set(0, dy[0]);
  Tensor result = reuse_or_empty(dy[0]);
  drop(attributes, dy[0], context.kept(0), result);
  dx.set(0, std::move(result));
}

}  // namespace ops

Tensor dropout(Tensor x, const DropoutAttributes& attributes) { return call(ops::Dropout{attributes}, std::move(x)); }

}  // namespace sinter
