#pragma once

#include "../module.h"

namespace sinter::nn {

/// min(max(x + 3, 0), 6) / 6 as a layer; see ops::Hardsigmoid.
struct Hardsigmoid : Module {
  Tensor forward(const Tensor& x) const override;
  std::string title() const override { return "Hardsigmoid"; }
  SINTER_CHILDREN()
};

}  // namespace sinter::nn
