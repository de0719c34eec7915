#pragma once

#include "../module.h"

namespace sinter::nn {

/// x tanh(log(1 + e^x)) as a layer; see ops::Mish.
struct Mish : Module {
  Tensor forward(const Tensor& x) const override;
  std::string title() const override { return "Mish"; }
  SINTER_CHILDREN()
};

}  // namespace sinter::nn
