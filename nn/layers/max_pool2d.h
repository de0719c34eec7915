#pragma once

#include "../../core/ops/max_pool2d.h"
#include "../module.h"

namespace sinter::nn {

/// The largest value of each window; see ops::MaxPool2d. `nn::MaxPool2d pool{{.kernel = 3, .stride = 2, .padding = 1}}`
class MaxPool2d : public Module {
 public:
  /// Throws Error for sizes that make no sense.
  MaxPool2d(const MaxPoolAttributes& options);

  Tensor forward(const Tensor& x) const override;
  std::string title() const override;
  SINTER_CHILDREN()

  MaxPoolAttributes attributes;
};

}  // namespace sinter::nn
