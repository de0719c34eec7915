#pragma once

#include <string>

#include "../../core/tensor.h"

namespace sinter {

struct FocalLossOptions {
  double alpha = 0.25;             ///< weight of the targets' share of 1, 1 - alpha that of 0; negative: no weights
  double gamma = 2;                ///< 0 or more: how little counts what is right already
  std::string reduction = "mean";  ///< over all elements; or "sum", or "none": of the logits' shape
};
/// alpha_t (1 - p_t)^gamma (-log p_t), where p_t is the probability sigmoid(x) gives to the target, 0 or 1 (Lin et al.,
/// 1708.02002, equation 5); for a target between them as torchvision's sigmoid_focal_loss. float32, both of one shape.
/// A detector takes "sum" and divides by the number of its objects.
Tensor focal_loss(const Tensor& logits, const Tensor& target, const FocalLossOptions& options = {});

}  // namespace sinter
