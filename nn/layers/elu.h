#pragma once

#include "../../core/ops/elu.h"
#include "../module.h"

namespace sinter::nn {

/// x above 0, else alpha (e^x - 1); see ops::Elu.
struct ELU : Module {
  /// Throws Error for options that make no sense.
  ELU(const EluAttributes& options = {});

  Tensor forward(const Tensor& x) const override;
  std::string title() const override;
  SINTER_CHILDREN()

  EluAttributes attributes;
};

}  // namespace sinter::nn
