#pragma once
// Private: real values to integers, and integers into bounds, over whole tensors; for fake-quantisation and the fast
// simulator.

#include <span>
#include <type_traits>

#include "../../core/tensor.h"
#include "../contract.h"

namespace sinter::quant {

/// y (int8 or int16) = the integers nearest to x / scale (float32) within the bounds, as the contract's `quantize` has
/// them: one scale, or one for each of as many parts of x. `mask`, where not null, becomes that of the straight-through
/// gradient: a row of bits for each scale, set where x / scale rounds to a value within the bounds or, with `strictly`,
/// is between them.
void quantize(const Tensor& x, std::span<const float> scales, const Bounds& bounds, Rounding rounding, Tensor& y,
              Tensor* mask = nullptr, bool strictly = false);

/// The real values of integers (int8 or int16): q scale, in float32.
Tensor dequantize(const Tensor& q, float scale);

/// The elements of int8 or int16 of a tensor, whichever they are; null where there is none.
template <class V>
struct IntegersAt {
  V* data = nullptr;
  DType type = DType::int8;
  V* at(int64_t i) const {
    using Byte = std::conditional_t<std::is_const_v<V>, const char, char>;
    return data == nullptr ? nullptr : static_cast<Byte*>(data) + i * size_of(type);
  }
};
IntegersAt<const void> integers_at(const Tensor& x);
IntegersAt<void> integers_at(Tensor& y);

/// How many values of x (float32) are NaN.
int64_t count_nans(const Tensor& x);

/// Room for `rows` rows of `row` bits that say where a gradient passes: uint8 [rows, bytes], lowest bits first.
Tensor empty_mask(int64_t rows, int64_t row);

/// y = x within the bounds, both int8 or both int16.
void clamp(const Tensor& x, const Bounds& bounds, Tensor& y);

}  // namespace sinter::quant
