#pragma once

#include <string>

#include "../../core/tensor.h"

namespace sinter {

struct BceWithLogitsOptions {
  std::string reduction = "mean";  ///< over all elements; or "sum", or "none": of the logits' shape
  Tensor weight{};                 ///< of each element; its shape broadcasts to the logits', as does
  Tensor pos_weight{};             ///< that of the targets' share of 1; none: 1
};
/// -pos_weight t log sigmoid(x) - (1 - t) log(1 - sigmoid(x)), finite for every finite x: float32, both of one shape.
Tensor bce_with_logits(const Tensor& logits, const Tensor& target, const BceWithLogitsOptions& options = {});

}  // namespace sinter
