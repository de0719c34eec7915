#pragma once
// Private: what sums over two tensors, and ranges of channels, say.

#include <cstdint>
#include <span>

namespace sinter::quant {

struct Agreement {
  double cosine = 1, noise = 0, sqnr = 0;  // as in Difference
};
/// From sum x^2, sum y^2, sum xy and sum (y - x)^2.
Agreement agreement_of(double xx, double yy, double xy, double squared_errors);

/// -10 log10(noise), in dB.
double decibels(double noise);

struct ChannelRatio {
  double ratio = 1;  ///< the largest over the (lower) median of those that are not zero
  int64_t widest = 0, dead = 0;
};
/// Of the largest absolute values of channels.
ChannelRatio channel_ratio(std::span<const float> reach);

}  // namespace sinter::quant
