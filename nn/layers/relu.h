#pragma once

#include "../module.h"

namespace sinter::nn {

/// max(x, 0) as a layer; see ops::Relu.
struct ReLU : Module {
  Tensor forward(const Tensor& x) const override;
  std::string title() const override { return "ReLU"; }
  SINTER_CHILDREN()
};

}  // namespace sinter::nn
