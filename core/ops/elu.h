#pragma once

#include "unary.h"

namespace sinter {

struct EluAttributes {
  double alpha = 1;  ///< what x -> -infinity gives, negated
};
SINTER_FIELDS(EluAttributes, alpha)

namespace ops {

/// x above 0, else alpha (e^x - 1) (Clevert et al., 1511.07289). Any shape, float32.
struct Elu final : UnaryWith<EluAttributes> {
  /// Throws Error unless alpha is finite.
  Elu(const EluAttributes& attributes = {});
  std::string_view name() const override { return "elu"; }
  UnaryKernel kernel() const override;
  double at(double x) const override;
};

}  // namespace ops

/// See ops::Elu.
Tensor elu(const Tensor& x, const EluAttributes& attributes = {});

}  // namespace sinter
