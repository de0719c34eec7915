#pragma once

#include "../module.h"

namespace sinter::nn {

/// x / (1 + e^-x) as a layer; see ops::Silu.
struct SiLU : Module {
  Tensor forward(const Tensor& x) const override;
  std::string title() const override { return "SiLU"; }
  SINTER_CHILDREN()
};

}  // namespace sinter::nn
