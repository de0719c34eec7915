#include "../../../core/ops/arithmetic.h"

#include "../one_layer.h"

using namespace sinter;
using namespace sinter::test;

TEST_CASE("a product is exact before it is rounded, also where it broadcasts") {
  for (const auto& shapes :
       std::vector<std::vector<Shape>>{{kImage, kImage}, {kImage, kPixel}, {kPixel, kImage}, {kPixel, kColumn}})
    check_layer([&](const Tensors& x) { return x[0] * x[1]; }, shapes,
                [&](const Case& c) {
                  return c.each([&](auto... at) {
                    return c.rescaled(c.x[0].at(at...) * c.x[1].at(at...),
                                      c.path.accumulator(c.x[0].scale * c.x[1].scale, c.y.scale, c.y.bits));
                  });
                });
  check_layer([&](const Tensors& x) { return x[0] * x[0]; }, {kImage},
              [&](const Case& c) {
                return c.each([&](auto... at) {
                  return c.rescaled(c.x[0].at(at...) * c.x[0].at(at...),
                                    c.path.accumulator(c.x[0].scale * c.x[0].scale, c.y.scale, c.y.bits));
                });
              });
}

TEST_CASE("a product with numbers reads them as integers of their own scale") {
  const Tensor numbers = Tensor::from({4}, {0.5f, -2, 1.25f, 0.01f});
  check_layer([&](const Tensors& x) { return x[0] * numbers; }, {kImage},
              [&](const Case& c) {
                const Integers k = constant(numbers, c);
                const auto by = c.path.accumulator(c.x[0].scale * k.scale, c.y.scale, c.y.bits);
                return c.each([&](auto... at) { return c.rescaled(c.x[0].at(at...) * k.at(at...), by); });
              });
}
