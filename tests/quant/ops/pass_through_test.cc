#include "../../../quant/ops/pass_through.h"

#include "../../support.h"

using namespace sinter;
using namespace sinter::quant;

namespace {

struct Result {
  Tensor y, gradient;
};

// A clamp of the integers -128..127 at this scale, and where its gradient passes.
Result clamp(Activation activation, float scale) {
  std::vector<float> all;
  for (int q = -128; q <= 127; ++q) all.push_back(static_cast<float>(q));
  Tensor x = Tensor::from({256}, all);
  x.set_requires_grad(true);
  // As integers that a gradient flows through.
  struct AsIntegers final : Op {
    std::string_view name() const override { return "integers"; }
    Specs infer(std::span<const Spec> in) const override { return {{DType::int8, in[0].shape}}; }
    void forward(Inputs in, Outputs y, Context&) const override { y[0].copy_from(in[0].to(DType::int8)); }
    void backward(const Context&, Outputs dy, Gradients& dx) const override { dx.set(0, dy[0]); }
  };
  const Pass pass{&March::bayes, false, nullptr};
  QuantizedClamp op;
  op.activation = activation;
  op.scale = scale;
  op.bounds = output_bounds(activation, scale, Rounding::half_to_even);
  op.pass = &pass;
  const Tensor y = call(op, call(AsIntegers{}, x));
  y.backward(Tensor::ones({256}));
  return {y, x.grad()};
}

}  // namespace

TEST_CASE("a ReLU on integers and its gradient") {
  const Result r = clamp(Activation::relu, 0.1f);
  for (int q = -128; q <= 127; ++q) {
    CHECK(r.y.at<int8_t>({q + 128}) == std::max(q, 0));
    CHECK(r.gradient.at({q + 128}) == (q > 0 ? 1 : 0));
  }
}

TEST_CASE("a ReLU6 on integers: the gradient passes below the real 6") {
  for (const float scale : {0.059f, 0.0597f, 0.05f, 0.02f}) {  // 101.69, 100.50, 120 and beyond 127
    CAPTURE(scale);
    const Result r = clamp(Activation::relu6, scale);
    const int high = std::min(127, static_cast<int>(std::nearbyint(6 / scale)));
    for (int q = -128; q <= 127; ++q) {
      CAPTURE(q);
      CHECK(r.y.at<int8_t>({q + 128}) == std::clamp(q, 0, high));
      CHECK(r.gradient.at({q + 128}) == (q > 0 && q * static_cast<double>(scale) < 6 ? 1 : 0));
    }
  }
}
