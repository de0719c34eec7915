#include "adaptive_avg_pool2d.h"

#include "../../core/ops/adaptive_avg_pool2d.h"

namespace sinter::nn {

AdaptiveAvgPool2d::AdaptiveAvgPool2d(const Pair& output) : size(output) {
  check(size.h >= 1 && size.w >= 1, "AdaptiveAvgPool2d: size is ", size, ", expected at least 1");
}

Tensor AdaptiveAvgPool2d::forward(const Tensor& x) const { return adaptive_avg_pool2d(x, size); }

std::string AdaptiveAvgPool2d::title() const { return text("AdaptiveAvgPool2d(size=", size, ')'); }

}  // namespace sinter::nn
