#pragma once

#include "../module.h"

namespace sinter::nn {

/// 1 / (1 + e^-x) as a layer; see ops::Sigmoid.
struct Sigmoid : Module {
  Tensor forward(const Tensor& x) const override;
  std::string title() const override { return "Sigmoid"; }
  SINTER_CHILDREN()
};

}  // namespace sinter::nn
