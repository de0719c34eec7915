#pragma once

#include "../../core/ops/avg_pool2d.h"
#include "../module.h"

namespace sinter::nn {

/// The mean of each window; see ops::AvgPool2d. (The mean of the whole image is `mean(x, {1, 2})`.)
class AvgPool2d : public Module {
 public:
  /// Throws Error for sizes that make no sense.
  AvgPool2d(const AvgPoolAttributes& options);

  Tensor forward(const Tensor& x) const override;
  std::string title() const override;
  SINTER_CHILDREN()

  AvgPoolAttributes attributes;
};

}  // namespace sinter::nn
