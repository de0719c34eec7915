#pragma once

#include "../../core/ops/softmax.h"
#include "../module.h"

namespace sinter::nn {

/// exp(x) / sum(exp(x)) along an axis, the last by default; see ops::Softmax. (A loss wants logits: cross_entropy.)
struct Softmax : Module {
  Softmax(const SoftmaxAttributes& options = {}) : attributes(options) {}

  Tensor forward(const Tensor& x) const override;
  std::string title() const override;
  SINTER_CHILDREN()

  SoftmaxAttributes attributes;
};

}  // namespace sinter::nn
