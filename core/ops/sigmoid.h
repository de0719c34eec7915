#pragma once

#include "unary.h"

namespace sinter::ops {

/// 1 / (1 + e^-x). Any shape, float32.
struct Sigmoid final : Unary {
  std::string_view name() const override { return "sigmoid"; }
  UnaryKernel kernel() const override;
  double at(double x) const override;
};

}  // namespace sinter::ops

namespace sinter {
/// 1 / (1 + e^-x), elementwise; a temporary's elements are reused.
Tensor sigmoid(Tensor x);
}  // namespace sinter
