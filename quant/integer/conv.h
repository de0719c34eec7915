#pragma once
// Private: the exact integer convolution, for fake-quantisation and the fast simulator.

#include <vector>

#include "../../core/onednn.h"
#include "../contract.h"
#include "requantize.h"

namespace sinter::quant {

/// Quantised weights [O,...] (int8) that one convolution uses, cut into parts that oneDNN sums exactly: for every
/// output channel sum |w| * max |x| < 2^24 in each part (SPEC.md, "Exact accumulators"). The parts have the shape of
/// the whole, with zeros elsewhere, and add up to it.
struct IntegerWeights {
  std::vector<Tensor> parts;
  int64_t reach = 0;  ///< largest sum |w| * max |x| of a channel
  bool keep = false;  ///< the weights stay the same over many calls: their reordered form is worth keeping
};

/// int8 or uint8 values as float32.
Tensor to_float(const Tensor& x);

/// Throws Error, naming `what`, where a channel's accumulator could leave int32 (bias included, as |qb| <= 2^30).
IntegerWeights integer_weights(const Tensor& weight, const Grid& x, bool keep, const char* what);

/// acc = conv(x, weight), exact in int32. x is int8 or int16 within the grid's bounds ([0,127] after a ReLU is faster
/// than signed); acc [N,OH,OW,O] int32. 16 bits are 256 hi + lo, two convolutions.
void integer_convolution(const onednn::Convolution& c, const Tensor& x, const Grid& grid, const IntegerWeights& weights,
                         Tensor& acc);

/// y = conv(x, weight) and the skip (or undefined), rescaled: where all are int8, a few images at a time, whose accumulators stay in
/// cache.
void integer_layer(const onednn::Convolution& c, const Tensor& x, const Grid& grid, const IntegerWeights& weights,
                   const Tensor& skip, const Requantizer& requantizer, Tensor& y);

}  // namespace sinter::quant
