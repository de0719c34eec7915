#pragma once

#include "../module.h"

namespace sinter::nn {

/// Its input: a place for a layer that is left out.
struct Identity : Module {
  Tensor forward(const Tensor& x) const override;
  std::string title() const override { return "Identity"; }
  SINTER_CHILDREN()
};

}  // namespace sinter::nn
