#include "unary.h"

#include "elementwise.h"

namespace sinter::ops::detail {

Specs infer_unary(std::string_view op, std::span<const Spec> x) {
  expect_float(op, x, 1);
  return {x[0]};
}

void forward_unary(const UnaryKernel& f, Inputs x, Outputs y, Context& context) {
  apply(f.function, x[0], y[0], static_cast<float>(f.a), static_cast<float>(f.b));
  context.keep(f.function.keeps_result ? y[0] : x[0]);
}

void backward_unary(const UnaryKernel& f, const Context& context, Outputs dy, Gradients& dx) {
  dx.set(0, derivative(f.function, context.kept(0), dy[0], static_cast<float>(f.a), static_cast<float>(f.b)));
}

Aliasing aliasing_unary(const UnaryKernel& f) { return f.function.keeps_result ? Aliasing::reuse : Aliasing::none; }

}  // namespace sinter::ops::detail
