#pragma once
// oneDNN's primitives alone, as a user of oneDNN would call them: weights in the order it likes best, everything else
// as ours ([N,H,W,C]), and nothing made or reordered in a call.

#include "../core/onednn.h"
#include "measure.h"

namespace sinter::bench {

enum class Pass { forward, backward_data, backward_weights };
Work onednn_convolution(Pass pass, const onednn::Convolution& c);
/// uint8 by int8 to int32, or to int8 by a float scale.
Work onednn_int8_convolution(const onednn::Convolution& c, bool to_int8);
/// x [rows,in], weight [out,in].
Work onednn_linear(int64_t rows, int64_t in, int64_t out);
/// In training: with the batch's statistics.
Work onednn_batch_norm(const Shape& x);
Work onednn_relu(const Shape& x);
Work onednn_add(const Shape& x);
/// 3x3 windows, stride 2, padding 1.
Work onednn_max_pool(const Shape& x);
/// Along the last axis of [rows,classes].
Work onednn_softmax(int64_t rows, int64_t classes);

}  // namespace sinter::bench
