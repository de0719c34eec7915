#include "../../../core/ops/arithmetic.h"

#include "../one_layer.h"

using namespace sinter;
using namespace sinter::test;

TEST_CASE("a sum and a difference, of one shape and of several, are rounded once") {
  for (const bool minus : {false, true})
    for (const auto& shapes :
         std::vector<std::vector<Shape>>{{kImage, kImage}, {kImage, kPixel}, {kColumn, kImage}, {kColumn, kPixel}})
      check_layer([&](const Tensors& x) { return minus ? x[0] - x[1] : x[0] + x[1]; }, shapes,
                  [&](const Case& c) {
                    const auto by = c.sum_of(c.x[0], c.x[1], minus);
                    CHECK(c.x[1].scale >= c.x[0].scale);
                    return c.each([&](auto... at) { return c.sum(c.x[0].at(at...), c.x[1].at(at...), by); });
                  });
  // The same with the larger scale in front.
  check_layer([&](const Tensors& x) { return x[1] - x[0]; }, {kImage, kPixel},
              [&](const Case& c) {
                const auto by = c.sum_of(c.x[1], c.x[0], true);
                return c.each([&](auto... at) { return c.sum(c.x[1].at(at...), c.x[0].at(at...), by); });
              });
}

TEST_CASE("a sum or a difference with numbers reads them as integers of their own scale") {
  const Tensor numbers = Tensor::from({4}, {0.5f, -2, 1.25f, 0.01f});
  for (const bool minus : {false, true})
    for (const bool first : {false, true}) {
      CAPTURE(minus);
      CAPTURE(first);
      check_layer(
          [&](const Tensors& x) {
            return first ? (minus ? numbers - x[0] : numbers + x[0]) : (minus ? x[0] - numbers : x[0] + numbers);
          },
          {kImage},
          [&](const Case& c) {
            const Integers k = constant(numbers, c), &a = first ? k : c.x[0], &b = first ? c.x[0] : k;
            const auto by = c.sum_of(a, b, minus);
            return c.each([&](auto... at) { return c.sum(a.at(at...), b.at(at...), by); });
          });
    }
}
