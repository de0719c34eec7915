#include "../../../core/ops/arithmetic.h"

#include "../one_layer.h"

using namespace sinter;
using namespace sinter::quant;
using namespace sinter::test;

TEST_CASE("a quotient by numbers is the product with their reciprocals, integers of their own scale") {
  const Tensor numbers = Tensor::from({4}, {0.5f, -2, 1.25f, 0.01f});
  // Their reciprocals are these numbers.
  const Tensor divisors = Tensor::from({4}, {2, -0.5f, 0.8f, 100});
  check_layer([&](const Tensors& x) { return x[0] / divisors; }, {kImage},
              [&](const Case& c) {
                const Integers k = constant(numbers, c);
                const auto by = c.path.accumulator(c.x[0].scale * k.scale, c.y.scale, c.y.bits);
                return c.each([&](auto... at) { return c.rescaled(c.x[0].at(at...) * k.at(at...), by); });
              });
}

TEST_CASE("a divisor of zero has no integers") {
  const Tensor divisors = Tensor::from({3}, {1, 0, 2});
  auto model = prepare_qat(OneLayer([&](const Tensors& x) { return x[0] / divisors; }), Tensor::zeros({1, 2, 2, 3}));
  test::set_ranges(model, 2.4f);
  model.set_state(FakeQuantState::validation);
  CHECK_ERROR(model(Tensor::full({1, 2, 2, 3}, 1)),
              "div: its constant operand: the divisor has a zero, whose reciprocal is no number");
}

TEST_CASE("a quotient by what is computed is refused with the way out") {
  const Tensor x = Tensor::zeros({1, 2, 2, 3});
  CHECK_ERROR(prepare_qat(OneLayer([](const Tensors& in) { return in[0] / in[1]; }), {x, x}),
              "div by a tensor that is computed; write a * reciprocal(b)");
}
