#pragma once

#include "../tensor.h"
#include "window.h"

namespace sinter {

/// Means of windows that divide the image into so many rows and columns, whatever its size: x float32 [N,H,W,C], y
/// [N,size.h,size.w,C]. Output i of an axis is the mean of floor(i in / out) to ceil((i + 1) in / out) - 1, as in
/// PyTorch. It is made of operations that become integers: the mean of all for one output; avg_pool2d where windows are
/// alike, as where sizes divide; else, axis by axis, a slice and a mean for each output.
Tensor adaptive_avg_pool2d(const Tensor& x, const Pair& size);

}  // namespace sinter
