#pragma once

#include "../../core/ops/gelu.h"
#include "../module.h"

namespace sinter::nn {

/// x times the probability that a standard normal number is below it; see ops::Gelu.
struct GELU : Module {
  /// Throws Error for options that make no sense.
  GELU(const GeluAttributes& options = {});

  Tensor forward(const Tensor& x) const override;
  std::string title() const override;
  SINTER_CHILDREN()

  GeluAttributes attributes;
};

}  // namespace sinter::nn
