#pragma once
// Private: a convolution as the oneDNN glue wants it.

#include "../onednn.h"
#include "conv2d.h"

namespace sinter::ops {

onednn::Convolution geometry(const ConvAttributes& a, const Shape& x, const Shape& weight, const Shape& y);

}  // namespace sinter::ops
