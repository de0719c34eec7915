#pragma once

#include "../../core/ops/batch_norm.h"
#include "../module.h"

namespace sinter::nn {

struct BatchNorm2dOptions {
  double eps = 1e-5;
  double momentum = 0.1;  ///< share of the batch in the running statistics
};

/// Batch normalisation over all axes but the channels; see ops::BatchNorm. It is frozen where its attributes or
/// `Freezing::now()` say so.
class BatchNorm2d : public Module {
 public:
  /// Throws Error unless channels >= 1, eps > 0 and momentum is in 0..1.
  BatchNorm2d(int64_t channels, BatchNorm2dOptions options = {});

  Tensor forward(const Tensor& x) const override;
  std::string title() const override;
  Frozen freezable() const override { return {.batch_norm = true}; }
  SINTER_CHILDREN(weight, bias, running_mean, running_var)

  BatchNormAttributes attributes;
  Parameter weight, bias;               ///< [channels], at first 1 and 0
  Parameter running_mean, running_var;  ///< [channels], buffers, at first 0 and 1
};

}  // namespace sinter::nn
