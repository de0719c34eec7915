#pragma once

#include <cstdint>
#include <string>

#include "../../core/tensor.h"

namespace sinter {

struct DiceLossOptions {
  std::string activation = "softmax";  ///< what makes probabilities of x; or "sigmoid"; "none": they are
  double smooth = 1;                   ///< above 0: a class that is in neither has no loss
  int64_t ignore_index = -100;         ///< places of this label count for nothing
  std::string reduction = "mean";      ///< over images and classes; or "sum", or "none": [N,C]
};
/// 1 - (2 sum p t + smooth) / (sum p + sum t + smooth) of every class of every image, summed over its places (Milletari
/// et al., 1606.04797, without squares): x float32 [N,...,C]. The target t is labels, int64 [N,...], or float32 of x's
/// shape, as of classes that overlap. Throws Error for a label outside 0..C-1 that is not ignore_index.
Tensor dice_loss(const Tensor& x, const Tensor& target, const DiceLossOptions& options = {});

}  // namespace sinter
