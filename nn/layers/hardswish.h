#pragma once

#include "../module.h"

namespace sinter::nn {

/// x min(max(x + 3, 0), 6) / 6 as a layer; see ops::Hardswish.
struct Hardswish : Module {
  Tensor forward(const Tensor& x) const override;
  std::string title() const override { return "Hardswish"; }
  SINTER_CHILDREN()
};

}  // namespace sinter::nn
