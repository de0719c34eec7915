#include "max_pool.h"

#include <algorithm>
#include <limits>

#include "../../core/kernel/integers.h"
#include "pool_rows.h"

namespace sinter::quant {

namespace {

template <class T>
void pool(const ops::PoolWindow& window, const Tensor& x, Tensor& y) {
  T* out = y.mutable_data<T>();
  const auto largest = kernel::integers_of(out).largest;
  const int64_t row_elements = y.size(2) * y.size(3);
  each_pooled_row(
      window, x.shape(), y.shape(), x.data<T>(), std::numeric_limits<T>::min(),
      [=](const T* from, int64_t count, T* best) { largest(from, count, count, 1, best); }, largest,
      [=](int64_t row, const T* best) { std::copy_n(best, row_elements, out + row * row_elements); });
}

}  // namespace

void integer_max_pool(const ops::PoolWindow& window, const Tensor& x, Tensor& y) {
  x.dtype() == DType::int16 ? pool<int16_t>(window, x, y) : pool<int8_t>(window, x, y);
}

}  // namespace sinter::quant
