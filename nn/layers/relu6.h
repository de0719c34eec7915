#pragma once

#include "../module.h"

namespace sinter::nn {

/// min(max(x, 0), 6) as a layer; see ops::Relu6.
struct ReLU6 : Module {
  Tensor forward(const Tensor& x) const override;
  std::string title() const override { return "ReLU6"; }
  SINTER_CHILDREN()
};

}  // namespace sinter::nn
