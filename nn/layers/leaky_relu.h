#pragma once

#include "../../core/ops/leaky_relu.h"
#include "../module.h"

namespace sinter::nn {

/// x above 0, else x times `negative_slope`; see ops::LeakyRelu.
struct LeakyReLU : Module {
  /// Throws Error for options that make no sense.
  LeakyReLU(const LeakyReluAttributes& options = {});

  Tensor forward(const Tensor& x) const override;
  std::string title() const override;
  SINTER_CHILDREN()

  LeakyReluAttributes attributes;
};

}  // namespace sinter::nn
