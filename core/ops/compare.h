#pragma once

#include "../op.h"

namespace sinter {

struct CompareAttributes {
  std::string relation = "eq";  ///< or "ne", "lt", "le", "gt", "ge"
};
SINTER_FIELDS(CompareAttributes, relation)

namespace ops {

/// 1 where the relation holds, else 0, of two float32 tensors whose shapes broadcast; with NaN only "ne" holds. No
/// gradient flows through it.
struct Compare final : OpWith<CompareAttributes> {
  /// Throws Error for another relation.
  Compare(const CompareAttributes& attributes = {});
  std::string_view name() const override { return "compare"; }
  Specs infer(std::span<const Spec> x) const override;
  void forward(Inputs x, Outputs y, Context& context) const override;
  bool differentiable() const override { return false; }
};

}  // namespace ops

/// See ops::Compare.
Tensor eq(const Tensor& a, const Tensor& b);
Tensor eq(const Tensor& a, double b);
Tensor ne(const Tensor& a, const Tensor& b);
Tensor ne(const Tensor& a, double b);
Tensor lt(const Tensor& a, const Tensor& b);
Tensor lt(const Tensor& a, double b);
Tensor le(const Tensor& a, const Tensor& b);
Tensor le(const Tensor& a, double b);
Tensor gt(const Tensor& a, const Tensor& b);
Tensor gt(const Tensor& a, double b);
Tensor ge(const Tensor& a, const Tensor& b);
Tensor ge(const Tensor& a, double b);

}  // namespace sinter
