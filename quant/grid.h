#pragma once

#include <cstdint>

#include "../core/dtype.h"

namespace sinter::quant {

/// The integers that a quantised tensor may hold.
struct Bounds {
  int32_t low = -128, high = 127;
  bool operator==(const Bounds&) const = default;
  /// The largest magnitude among them.
  int64_t reach() const {
    const int64_t below = -int64_t{low}, above = high;
    return below > above ? below : above;
  }
};

/// The integers of `bits` bits: signed, or, below 8 bits where the values cannot be negative, from 0.
Bounds type_bounds(int bits, bool negative = true);

/// Where a quantised tensor's integers live: real value = integer * scale.
struct Grid {
  float scale = 1;
  Bounds bounds{};
  DType dtype = DType::int8;
  int bits = 8;  ///< of the type: 16, 8, 4 or 2
  bool operator==(const Grid&) const = default;
};

}  // namespace sinter::quant
