#pragma once

#include "../../core/ops/dropout.h"
#include "../module.h"

namespace sinter::nn {

/// In training, drops a share `p` of the values at random; see ops::Dropout.
struct Dropout : Module {
  /// Throws Error for options that make no sense.
  Dropout(const DropoutAttributes& options = {});

  Tensor forward(const Tensor& x) const override;
  std::string title() const override;
  SINTER_CHILDREN()

  DropoutAttributes attributes;
};

}  // namespace sinter::nn
