#include "../../../core/ops/matmul.h"

#include <cmath>

#include "layer.h"

using namespace sinter;
using namespace sinter::quant;

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
