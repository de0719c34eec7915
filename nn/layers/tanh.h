#pragma once

#include "../module.h"

namespace sinter::nn {

/// The hyperbolic tangent as a layer; see ops::Tanh.
struct Tanh : Module {
  Tensor forward(const Tensor& x) const override;
  std::string title() const override { return "Tanh"; }
  SINTER_CHILDREN()
};

}  // namespace sinter::nn
