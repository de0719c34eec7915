#include "variance.h"

#include <cmath>

#include "arithmetic.h"
#include "broadcast.h"
#include "reduce.h"
#include "reduction.h"
#include "sqrt.h"

namespace sinter {

namespace ops {

namespace {

Mean mean_of(const VarianceAttributes& a) { return Mean{{a.axes, true}}; }

// x without its mean over the axes.
Tensor deviations(const VarianceAttributes& a, const Tensor& x) {
  const Tensor mean = call(mean_of(a), x.detach());
  Tensor result = Tensor::empty(x.shape());
  broadcast_map(x, mean, result, [](float v, float m) { return v - m; });
  return result;
}

// Whose shapes and messages are those of any reduction.
struct Shapes final : Reduce {
  using Reduce::Reduce;
  std::string_view name() const override { return "var"; }
  void forward(Inputs, Outputs, Context&) const override {}
};

}  // namespace

Specs Variance::infer(std::span<const Spec> x) const { return Shapes{{attributes.axes, attributes.keep}}.infer(x); }

void Variance::forward(Inputs x, Outputs y, Context& context) const {
  const NoGrad no_grad;
  context.keep(x[0]);
  const Tensor d = deviations(attributes, x[0]);
  Tensor squares = Tensor::empty(d.shape());
  map(d, squares, [](float v) { return v * v; });
  const Sum total{{attributes.axes, attributes.keep}};
  // The mean was rounded: what is left of it is taken off.
  const Tensor sum = call(total, d), sum_of_squares = call(total, squares);
  const double count = static_cast<double>(x[0].elements()) / static_cast<double>(y[0].elements());
  const double divisor = std::max(0.0, count - static_cast<double>(attributes.correction));
  map(sum_of_squares, sum, y[0], [=](float s, float rest) {
    return static_cast<float>((static_cast<double>(s) - static_cast<double>(rest) * static_cast<double>(rest) / count) /
                              divisor);
  });
}

void Variance::backward(const Context& context, Outputs dy, Gradients& dx) const {
  const NoGrad no_grad;
  const Tensor x = context.kept(0), d = deviations(attributes, x);
  const double count = static_cast<double>(x.elements()) / static_cast<double>(dy[0].elements());
  const auto factor = static_cast<float>(2 / std::max(0.0, count - static_cast<double>(attributes.correction)));
  const Shape kept = mean_of(attributes).infer(std::vector{x.spec()})[0].shape;
  // Equal values have no direction to go in, whatever a root behind this asks for.
  broadcast_map(d, d.shape(), dy[0], kept, dx.create(0),
                [factor](float v, float g) { return v == 0 && std::isinf(g) ? 0 : g * (v * factor); });
}

}  // namespace ops

Tensor var(const Tensor& x, const VarianceAttributes& attributes) { return call(ops::Variance{attributes}, x); }
Tensor stddev(const Tensor& x, const VarianceAttributes& attributes) { return sqrt(var(x, attributes)); }

}  // namespace sinter
