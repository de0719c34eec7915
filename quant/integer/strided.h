#pragma once
// Private: elements that move, of any type: slices, borders, broadcasts, spread images.

#include <vector>

#include "../../core/tensor.h"

namespace sinter::quant {

/// `sizes` elements of one tensor and where they lie in it and in another: so many elements apart along each axis, from
/// an element on. A stride of 0 reads one element several times.
struct StridedCopy {
  std::vector<int64_t> sizes, from_strides, to_strides;
  int64_t from = 0, to = 0;
};

/// y[...] = x[...]; one type.
void copy_strided(const StridedCopy& by, const Tensor& x, Tensor& y);

/// How far the elements of each axis are apart.
std::vector<int64_t> strides_of(const Shape& shape);

/// x broadcast to a shape of its rank: x itself where that is its own.
Tensor expanded(const Tensor& x, const Shape& shape);

}  // namespace sinter::quant
