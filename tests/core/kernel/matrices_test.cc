#include "../../../core/kernel/matrices.h"

#include <array>
#include <limits>

#include "../../../core/random.h"
#include "../../support.h"
#include "tables.h"

using namespace sinter;
using kernel::kPanel;
using kernel::MatrixKernels;

namespace {

std::vector<const MatrixKernels*> tables() {
  auto all = RUNNABLE_TABLES(MatrixKernels, kernel::matrix_kernels);
  all.push_back(&kernel::matrix_kernels_baseline);
  all.push_back(&kernel::best_matrix_kernels());
  return all;
}

template <class T>
std::vector<T> values(int64_t count, uint64_t seed) {
  Random random(seed, stream_of("matrix kernel"));
  std::vector<T> x;
  for (int64_t i = 0; i < count; ++i)
    x.push_back(i % 7 == 0 ? std::numeric_limits<T>::min() : static_cast<T>(random.bits()));
  return x;
}

template <class T>
const kernel::PackOf<T>& pack(const MatrixKernels& k) {
  if constexpr (sizeof(T) == 1)
    return k.bytes;
  else
    return k.words;
}

// `count` vectors of `depth` values, one after the other, or beside each other.
template <class T>
kernel::Matrix<T> matrix(const std::vector<T>& x, int64_t count, int64_t depth, bool beside) {
  return {.x = x.data(), .count = count, .depth = depth, .step = beside ? 1 : depth, .depth_step = beside ? count : 1};
}

template <class A, class B>
void check_products(int64_t rows, int64_t depth, int64_t columns, bool a_beside, bool b_beside) {
  const auto a = values<A>(rows * depth, 1);
  const auto b = values<B>(columns * depth, 2);
  const auto left = matrix(a, rows, depth, a_beside);
  const auto right = matrix(b, columns, depth, b_beside);
  std::vector<int32_t> expected;
  for (int64_t i = 0; i < rows; ++i)
    for (int64_t j = 0; j < columns; ++j) {
      uint32_t sum = 0;
      for (int64_t k = 0; k < depth; ++k)
        sum += static_cast<uint32_t>(int32_t{left.x[i * left.step + k * left.depth_step]} *
                                     int32_t{right.x[j * right.step + k * right.depth_step]});
      expected.push_back(static_cast<int32_t>(sum));
    }
  const int64_t pairs = (depth + 1) / 2, panels = (columns + kPanel - 1) / kPanel;
  for (const MatrixKernels* k : tables()) {
    std::vector<int16_t> packed_a(static_cast<size_t>(rows * pairs * 2), 99);
    std::vector<int16_t> packed_b(static_cast<size_t>(panels * kPanel * pairs * 2), 99);
    std::vector<int32_t> c(static_cast<size_t>(rows * columns + 1), 99);
    pack<A>(*k).rows(left, packed_a.data());
    pack<B>(*k).panels(right, packed_b.data());
    k->product(packed_a.data(), packed_b.data(), rows, columns, pairs, c.data());
    CHECK(c.back() == 99);
    c.pop_back();
    CHECK(c == expected);
  }
}

}  // namespace

TEST_CASE("products of matrices of integers are exact modulo 2^32, whatever their sizes and order in memory") {
  for (const bool a_beside : {false, true})
    for (const bool b_beside : {false, true})
      for (const auto& [rows, depth, columns] :
           {std::array<int64_t, 3>{1, 1, 1}, {13, 7, 33}, {8, 16, 32}, {21, 32, 70}, {4, 0, 5}}) {
        check_products<int8_t, int8_t>(rows, depth, columns, a_beside, b_beside);
        check_products<int16_t, int8_t>(rows, depth, columns, a_beside, b_beside);
        check_products<int8_t, int16_t>(rows, depth, columns, a_beside, b_beside);
        check_products<int16_t, int16_t>(rows, depth, columns, a_beside, b_beside);
      }
}
