#pragma once

#include <string>

#include "../../core/tensor.h"

namespace sinter {

struct GiouLossOptions {
  std::string reduction = "mean";  ///< over the boxes, 0 of none; or "sum", or "none": [...]
  double eps = 1e-7;               ///< what areas are divided by is that much larger
};
/// 1 - GIoU of each box with its target (Rezatofighi et al., 1902.09630), 0 to 2: float32 [...,4], both of one shape,
/// of x1, y1, x2, y2 with x1 <= x2 and y1 <= y2, as torchvision's generalized_box_iou_loss.
Tensor giou_loss(const Tensor& boxes, const Tensor& target, const GiouLossOptions& options = {});

}  // namespace sinter
