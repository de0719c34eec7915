#pragma once
// Private: what convolutions and transposed ones share, and a convolution as the oneDNN glue wants it.

#include "../onednn.h"
#include "conv2d.h"

namespace sinter::ops {

/// Throws Error, starting with `op`, unless these are an image and a weight for such a convolution in either direction.
void check_convolution(std::string_view op, const ConvAttributes& a, const Shape& x, const Shape& weight);

onednn::Convolution geometry(const ConvAttributes& a, const Shape& x, const Shape& weight, const Shape& y);
/// Of a transposed convolution from x to y: that of the convolution from y to x whose gradient it is.
onednn::Convolution transposed_geometry(const ConvAttributes& a, const Shape& x, const Shape& weight, const Shape& y);

}  // namespace sinter::ops
