#pragma once
// Private: max pooling of integers, for the fast simulator and for fake-quantisation.

#include "../../core/tensor.h"

namespace sinter::quant {

struct PoolWindow {
  int64_t kernel_h = 1, kernel_w = 1, stride_h = 1, stride_w = 1;
  int64_t padding_h = 0, padding_w = 0, dilation_h = 1, dilation_w = 1;
};

/// y [N,OH,OW,C] = the largest of each window of x [N,H,W,C], both int8; padding never wins. Every window has at least
/// one position inside.
void integer_max_pool(const PoolWindow& w, const Tensor& x, Tensor& y);

}  // namespace sinter::quant
