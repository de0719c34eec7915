#pragma once

#include "../../core/ops/window.h"
#include "../module.h"

namespace sinter::nn {

/// Means of as many windows as there shall be rows and columns, `nn::AdaptiveAvgPool2d pool{{7, 7}}`, or
/// `nn::AdaptiveAvgPool2d pool{1}`; see sinter::adaptive_avg_pool2d.
class AdaptiveAvgPool2d : public Module {
 public:
  /// Throws Error for less than one row or column.
  AdaptiveAvgPool2d(const Pair& size);

  Tensor forward(const Tensor& x) const override;
  std::string title() const override;
  SINTER_CHILDREN()

  Pair size;
};

}  // namespace sinter::nn
