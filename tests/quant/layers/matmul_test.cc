#include "../../../core/ops/matmul.h"

#include <cmath>

#include "../one_layer.h"
#include "layer.h"

using namespace sinter;
using namespace sinter::quant;
using namespace sinter::test;

namespace {

// Rows of a by rows of b, times 2^-shift, rounded half to even and within int16.
std::vector<int16_t> products(const Tensor& a, const Tensor& b, int shift) {
  const Tensor p = a.to(DType::int64), q = b.to(DType::int64);
  const int64_t depth = a.size(-1);
  std::vector<int16_t> all;
  for (int64_t i = 0; i < a.size(1); ++i)
    for (int64_t j = 0; j < b.size(1); ++j) {
      int64_t sum = 0;
      for (int64_t k = 0; k < depth; ++k) sum += p.data<int64_t>()[i * depth + k] * q.data<int64_t>()[j * depth + k];
      const double v = std::nearbyint(std::ldexp(static_cast<double>(sum), -shift));
      all.push_back(static_cast<int16_t>(std::clamp(v, -32768.0, 32767.0)));
    }
  return all;
}

void check_product(const Tensor& a, const Tensor& b, int shift) {
  const Tensor y = test::run(test::instruction("matmul", ops::Matmul({.transpose_b = true}), {{1, 0, 0, 1, shift}}),
                             {a, b}, DType::int16, type_bounds(16));
  CHECK_SAME(y, Tensor::from({1, a.size(1), b.size(1)}, products(a, b, shift)));
}

}  // namespace

TEST_CASE("products of activations are exact, whatever their types and however many are summed") {
  for (const DType left : {DType::int8, DType::int16})
    for (const DType right : {DType::int8, DType::int16})
      for (const int64_t depth : {1, 3, 64}) {
        const auto values = [&](DType type, int64_t rows, uint64_t seed) {
          return test::normal({1, rows, depth}, seed, type == DType::int8 ? 40 : 1500).to(type);
        };
        check_product(values(left, 5, 1), values(right, 7, 2), left == right && left == DType::int8 ? 1 : 9);
      }
  // Sums and products that float does not hold: 16386.5 and the least bit more.
  check_product(Tensor::full({1, 2, 1}, 27553, DType::int16), Tensor::full({1, 3, 1}, 609, DType::int16), 10);
  check_product(Tensor::full({1, 2, 1}, 32767, DType::int16), Tensor::full({1, 3, 1}, -32767, DType::int16), 15);
  check_product(Tensor::full({1, 2, 2000}, -128, DType::int8), Tensor::full({1, 3, 2000}, -127, DType::int8), 12);
  check_product(Tensor::full({1, 1, 130000}, -128, DType::int8), Tensor::full({1, 1, 130000}, -127, DType::int8), 17);
}

TEST_CASE("products of matrices are exact before they are rounded") {
  for (const bool a : {false, true})
    for (const bool b : {false, true})
      check_layer([&](const Tensors& x) { return matmul(x[0], x[1], {.transpose_a = a, .transpose_b = b}); },
                  {a ? Shape{2, 5, 4, 6} : Shape{2, 5, 6, 4}, b ? Shape{2, 1, 3, 4} : Shape{2, 1, 4, 3}},
                  [&](const Case& c) {
                    const auto by = c.path.accumulator(c.x[0].scale * c.x[1].scale, c.y.scale, c.y.bits);
                    return c.each([&](int64_t n, int64_t h, int64_t row, int64_t column) {
                      int64_t sum = 0;
                      for (int64_t k = 0; k < 4; ++k)
                        sum +=
                            c.x[0].at(n, h, a ? k : row, a ? row : k) * c.x[1].at(n, h, b ? column : k, b ? k : column);
                      return c.rescaled(sum, by);
                    });
                  },
                  {.int16 = false});
}
