#pragma once

#include "../../core/ops/softplus.h"
#include "../module.h"

namespace sinter::nn {

/// log(1 + e^(beta x)) / beta; see ops::Softplus.
struct Softplus : Module {
  /// Throws Error for options that make no sense.
  Softplus(const SoftplusAttributes& options = {});

  Tensor forward(const Tensor& x) const override;
  std::string title() const override;
  SINTER_CHILDREN()

  SoftplusAttributes attributes;
};

}  // namespace sinter::nn
