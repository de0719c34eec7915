#pragma once

#include "../module.h"

namespace sinter::nn {

/// x / (1 + |x|) as a layer; see ops::Softsign.
struct Softsign : Module {
  Tensor forward(const Tensor& x) const override;
  std::string title() const override { return "Softsign"; }
  SINTER_CHILDREN()
};

}  // namespace sinter::nn
