#pragma once
// Private: the channels of networks of any width.

#include <algorithm>

#include "../../core/error.h"

namespace sinter::nn {

/// Multiples of 8, at most a tenth below what was asked for: as in the authors' implementation of MobileNetV2.
inline int64_t rounded_channels(double wanted) {
  constexpr int64_t kStep = 8;
  int64_t rounded = std::max(kStep, static_cast<int64_t>(wanted + kStep / 2) / kStep * kStep);
  if (static_cast<double>(rounded) < 0.9 * wanted) rounded += kStep;
  return rounded;
}

/// A factor of channels or layers.
inline double checked_factor(const char* model, const char* name, double factor) {
  check(factor > 0 && factor <= 16, model, ": ", name, " is ", factor, ", expected above 0, at most 16");
  return factor;
}

}  // namespace sinter::nn
