#pragma once

#include "../op.h"

namespace sinter {

struct OneHotAttributes {
  int64_t classes = 0;  ///< at least 1
};
SINTER_FIELDS(OneHotAttributes, classes)

namespace ops {

/// int64 [...] as float32 [...,classes]: 1 at the label, 0 elsewhere. A label outside of 0..classes-1 is an Error.
struct OneHot final : OpWith<OneHotAttributes> {
  /// Throws Error for less than one class.
  OneHot(const OneHotAttributes& attributes);
  std::string_view name() const override { return "one_hot"; }
  Specs infer(std::span<const Spec> x) const override;
  void forward(Inputs x, Outputs y, Context& context) const override;
  bool differentiable() const override { return false; }
};

}  // namespace ops

/// See ops::OneHot: `one_hot(labels, {.classes = 10})`.
Tensor one_hot(const Tensor& labels, const OneHotAttributes& attributes);

}  // namespace sinter
