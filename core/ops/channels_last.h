#pragma once
// Private: what to ask where the channels of an image are not where they should be.

#include <string>

#include "../shape.h"

namespace sinter::ops {

/// `; is it [N,C,H,W]? images are [N,H,W,C]` where that would explain why the last axis is not `channels`, else
/// nothing.
inline std::string nchw_hint(const Shape& x, int64_t channels) {
  if (x.rank() != 4 || x[3] == channels || x[1] != channels) return "";
  return "; is the input [N,C,H,W]? Images are [N,H,W,C] here";
}

}  // namespace sinter::ops
