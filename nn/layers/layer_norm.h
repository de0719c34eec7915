#pragma once

#include "../../core/ops/layer_norm.h"
#include "../module.h"

namespace sinter::nn {

/// Normalisation of the channels of each position, with a weight and a bias; see ops::LayerNorm.
class LayerNorm : public Module {
 public:
  /// Throws Error unless channels >= 1 and eps is above 0.
  LayerNorm(int64_t channels, double eps = 1e-5);

  Tensor forward(const Tensor& x) const override;
  std::string title() const override;
  SINTER_CHILDREN(weight, bias)

  LayerNormAttributes attributes;
  Parameter weight, bias;  ///< [channels], at first 1 and 0
};

}  // namespace sinter::nn
