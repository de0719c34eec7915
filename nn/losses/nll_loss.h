#pragma once

#include <cstdint>
#include <string>

#include "../../core/tensor.h"

namespace sinter {

struct NllLossOptions {
  int64_t ignore_index = -100;     ///< rows of this label count for nothing
  std::string reduction = "mean";  ///< or "sum", or "none": [...], 0 where ignored
  Tensor weight{};                 ///< of the classes, float32 [C]; none: all 1
};
/// -weight[label] x[label] of every row of log-probabilities: x float32 [...,C], labels int64 [...]. The mean is over
/// the rows that are not ignored, each of the weight of its label: NaN where there is none. Throws Error for a label
/// outside 0..C-1 that is not ignore_index.
Tensor nll_loss(const Tensor& log_probabilities, const Tensor& labels, const NllLossOptions& options = {});

}  // namespace sinter
