#pragma once

#include "../../core/ops/flatten.h"
#include "../module.h"

namespace sinter::nn {

/// All axes from `start_axis` on as one, [N,H,W,C] to [N,H*W*C] by default; see ops::Flatten.
struct Flatten : Module {
  Flatten(const FlattenAttributes& options = {}) : attributes(options) {}

  Tensor forward(const Tensor& x) const override;
  std::string title() const override;
  SINTER_CHILDREN()

  FlattenAttributes attributes;
};

}  // namespace sinter::nn
