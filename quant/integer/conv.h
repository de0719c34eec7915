#pragma once
// Private: the exact integer convolution, for fake-quantisation and the fast simulator.

#include <vector>

#include "../../core/onednn.h"
#include "../contract.h"
#include "requantize.h"

namespace sinter::quant {

/// A transposed convolution of one group is given by the geometry of the convolution whose gradient it is
/// (`transposed_weight`), and computed as columns: every pixel of x times all its weights [KH,KW,O], by a 1x1
/// convolution, and these added up where they overlap. So is one whose channels are a group each, but that its products
/// are added up as they are made.

/// Quantised weights [O,...] (int8) that one convolution uses, cut into parts that oneDNN sums exactly: for every
/// output channel sum |w| * max |x| < 2^24 in each part (SPEC.md, "Exact accumulators"). The parts have `width` of the
/// input channels each, or, where that is 0, the shape of the whole with zeros elsewhere; they add up to it.
struct IntegerWeights {
  std::vector<Tensor> parts;  ///< of [KH,KW,O,I] where they are for columns
  int64_t width = 0;          ///< input channels (of a group) of each part, side by side; 0: of the whole
  int64_t reach = 0;          ///< largest sum |w| * max |x| of a channel
  bool keep = false;          ///< the weights stay the same over many calls: their reordered form is worth keeping
};

/// int8 or uint8 values as float32.
Tensor to_float(const Tensor& x);

/// For every output channel sum |w| * max |x|. Throws Error, naming `what`, where an accumulator could leave int32
/// (bias included, as |qb| <= 2^30).
std::vector<int64_t> accumulator_reach(const Tensor& weight, const Grid& x, const char* what);

/// Throws Error as `accumulator_reach` does. With `columns`, they are a transposed convolution's: rotated, as in
/// quant/fused_conv.h.
IntegerWeights integer_weights(const Tensor& weight, const Grid& x, bool keep, const char* what, bool columns = false);

/// acc = conv(x, weight), exact in int32. x is int8 or int16 within the grid's bounds ([0,127] after a ReLU is faster
/// than signed); acc [N,OH,OW,O] int32. 16 bits are 256 hi + lo, two convolutions.
void integer_convolution(const onednn::Convolution& c, const Tensor& x, const Grid& grid, const IntegerWeights& weights,
                         Tensor& acc);

/// y = conv(x, weight) and the skip (or undefined), rescaled: where all are int8, a few images at a time, whose
/// accumulators stay in cache.
void integer_layer(const onednn::Convolution& c, const Tensor& x, const Grid& grid, const IntegerWeights& weights,
                   const Tensor& skip, const Requantizer& requantizer, Tensor& y);

/// y (float32) = conv(x, weight) as real numbers, likewise.
void integer_head(const onednn::Convolution& c, const Tensor& x, const Grid& grid, const IntegerWeights& weights,
                  const Dequantizer& d, Tensor& y);

}  // namespace sinter::quant
