#include "arithmetic.h"

#include <bit>

#include "broadcast.h"
#include "reduction.h"

namespace sinter {

namespace ops {

namespace {

// dy combined with a kept operand, summed over the axes that were broadcast.
template <class F>
Tensor gradient(const Context& context, size_t input, const Tensor& dy, const Tensor& kept, const F& f) {
  Tensor product = Tensor::empty(dy.shape());
  broadcast_map(dy, kept, product, f);
  return sum_to(product, context.input(input).shape);
}

Tensor negated(const Tensor& x) {
  Tensor result = Tensor::empty(x.shape());
  map(x, result, [](float v) { return -v; });
  return result;
}

}  // namespace

Specs Arithmetic::infer(std::span<const Spec> x) const {
  expect_float(name(), x, 2);
  return {{DType::float32, broadcast_shape(name(), x[0].shape, x[1].shape)}};
}

void Add::forward(Inputs x, Outputs y, Context&) const {
  broadcast_map(x[0], x[1], y[0], [](float a, float b) { return a + b; });
}

void Add::backward(const Context& context, Outputs dy, Gradients& dx) const {
  for (size_t i = 0; i < 2; ++i)
    if (dx.wanted(i)) dx.set(i, sum_to(dy[0], context.input(i).shape));
}

void Sub::forward(Inputs x, Outputs y, Context&) const {
  broadcast_map(x[0], x[1], y[0], [](float a, float b) { return a - b; });
}

void Sub::backward(const Context& context, Outputs dy, Gradients& dx) const {
  if (dx.wanted(0)) dx.set(0, sum_to(dy[0], context.input(0).shape));
  if (dx.wanted(1)) dx.set(1, negated(sum_to(dy[0], context.input(1).shape)));
}

void Mul::forward(Inputs x, Outputs y, Context& context) const {
  context.keep(x[0]);
  context.keep(x[1]);
  broadcast_map(x[0], x[1], y[0], [](float a, float b) { return a * b; });
}

void Mul::backward(const Context& context, Outputs dy, Gradients& dx) const {
  for (size_t i = 0; i < 2; ++i)
    if (dx.wanted(i))
      dx.set(i, gradient(context, i, dy[0], context.kept(1 - i), [](float g, float other) { return g * other; }));
}

void Div::forward(Inputs x, Outputs y, Context& context) const {
  broadcast_map(x[0], x[1], y[0], [](float a, float b) { return a / b; });
  context.keep(y[0]);
  context.keep(x[1]);
}

void Div::backward(const Context& context, Outputs dy, Gradients& dx) const {
  Tensor divided = Tensor::empty(dy[0].shape());
  broadcast_map(dy[0], context.kept(1), divided, [](float g, float b) { return g / b; });
  if (dx.wanted(0)) dx.set(0, sum_to(divided, context.input(0).shape));
  if (dx.wanted(1))  // d(a/b)/db = -(a/b)/b
    dx.set(1, gradient(context, 1, divided, context.kept(0), [](float g, float y) { return -g * y; }));
}

namespace {

// `share` of the gradient that an operand gets beside the other one.
template <class F>
void share_gradient(const Context& context, const Tensor& dy, Gradients& dx, const F& share) {
  for (size_t i = 0; i < 2; ++i) {
    if (!dx.wanted(i)) continue;
    Tensor shares = Tensor::empty(dy.shape());
    broadcast_map(context.kept(i), context.kept(1 - i), shares, share);
    map(dy, shares, shares, [](float g, float s) {
      // 0 of what is infinite is 0, too; without a branch.
      return std::bit_cast<float>(std::bit_cast<uint32_t>(g * s) & -static_cast<uint32_t>(s != 0));
    });
    dx.set(i, sum_to(shares, context.input(i).shape));
  }
}

}  // namespace

void Minimum::forward(Inputs x, Outputs y, Context& context) const {
  context.keep(x[0]);
  context.keep(x[1]);
  broadcast_map(x[0], x[1], y[0], [](float a, float b) { return a < b || a != a ? a : b; });
}

void Minimum::backward(const Context& context, Outputs dy, Gradients& dx) const {
  share_gradient(context, dy[0], dx, [](float own, float other) {
    return 1 - 0.5f * static_cast<float>(own == other) - static_cast<float>(own > other);  // NaN: 1
  });
}

void Maximum::forward(Inputs x, Outputs y, Context& context) const {
  context.keep(x[0]);
  context.keep(x[1]);
  broadcast_map(x[0], x[1], y[0], [](float a, float b) { return a > b || a != a ? a : b; });
}

void Maximum::backward(const Context& context, Outputs dy, Gradients& dx) const {
  share_gradient(context, dy[0], dx, [](float own, float other) {
    return 1 - 0.5f * static_cast<float>(own == other) - static_cast<float>(own < other);
  });
}

}  // namespace ops

namespace {
Tensor scalar(double value) { return Tensor::full({}, value); }
}  // namespace

Tensor operator+(Tensor a, const Tensor& b) { return call(ops::Add{}, std::move(a), b); }
Tensor operator-(Tensor a, const Tensor& b) { return call(ops::Sub{}, std::move(a), b); }
Tensor operator*(const Tensor& a, const Tensor& b) { return call(ops::Mul{}, a, b); }
Tensor operator/(Tensor a, const Tensor& b) { return call(ops::Div{}, std::move(a), b); }
Tensor operator+(Tensor a, double b) { return std::move(a) + scalar(b); }
Tensor operator-(Tensor a, double b) { return std::move(a) - scalar(b); }
Tensor operator*(const Tensor& a, double b) { return a * scalar(b); }
Tensor operator/(Tensor a, double b) { return std::move(a) / scalar(b); }
Tensor operator+(double a, const Tensor& b) { return scalar(a) + b; }
Tensor operator-(double a, const Tensor& b) { return scalar(a) - b; }
Tensor operator*(double a, const Tensor& b) { return scalar(a) * b; }
Tensor operator/(double a, const Tensor& b) { return scalar(a) / b; }
Tensor operator-(const Tensor& a) { return a * -1.0; }
Tensor minimum(const Tensor& a, const Tensor& b) { return call(ops::Minimum{}, a, b); }
Tensor maximum(const Tensor& a, const Tensor& b) { return call(ops::Maximum{}, a, b); }
Tensor minimum(const Tensor& a, double b) { return minimum(a, scalar(b)); }
Tensor maximum(const Tensor& a, double b) { return maximum(a, scalar(b)); }
Tensor& operator+=(Tensor& a, Tensor b) { return a = std::move(a) + b; }
Tensor& operator-=(Tensor& a, Tensor b) { return a = std::move(a) - b; }
Tensor& operator*=(Tensor& a, Tensor b) { return a = a * b; }
Tensor& operator/=(Tensor& a, Tensor b) { return a = std::move(a) / b; }
Tensor& operator+=(Tensor& a, double b) { return a += scalar(b); }
Tensor& operator-=(Tensor& a, double b) { return a -= scalar(b); }
Tensor& operator*=(Tensor& a, double b) { return a *= scalar(b); }
Tensor& operator/=(Tensor& a, double b) { return a /= scalar(b); }

}  // namespace sinter
