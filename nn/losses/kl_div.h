#pragma once

#include <string>

#include "../../core/tensor.h"

namespace sinter {

struct KlDivOptions {
  bool log_target = false;  ///< whether the target is logarithms, too
  std::string reduction =
      "mean";  ///< over all elements; or "batchmean": the sum over the first axis' size; "sum", "none"
};
/// target (log target - x), 0 log 0 = 0, of log-probabilities x: float32, both of one shape. The divergence of whole
/// distributions is "batchmean", as in PyTorch, or a sum; "mean" divides by the number of classes, too.
Tensor kl_div(const Tensor& log_probabilities, const Tensor& target, const KlDivOptions& options = {});

}  // namespace sinter
