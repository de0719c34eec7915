#pragma once

#include "../op.h"

namespace sinter {

struct DropoutAttributes {
  double p = 0.5;  ///< share of the values that become 0; at least 0, below 1
};
SINTER_FIELDS(DropoutAttributes, p)

namespace ops {

/// In training, each value is 0 with probability p, else divided by 1 - p; in evaluation it is the identity. Any shape,
/// float32. Which values are dropped comes from `default_random()` of the calling thread, which every call in training
/// moves on by a number of words that the shape fixes: no bit depends on the number of threads, and a run that
/// goes on from a checkpoint of `fit`, which holds the generator, drops what it would have dropped.
struct Dropout final : OpWith<DropoutAttributes> {
  /// Throws Error for a p outside of [0, 1).
  Dropout(const DropoutAttributes& attributes);
  std::string_view name() const override { return "dropout"; }
  Specs infer(std::span<const Spec> x) const override;
  void forward(Inputs x, Outputs y, Context& context) const override;
  void backward(const Context& context, Outputs dy, Gradients& dx) const override;
  Aliasing aliasing() const override { return Aliasing::reuse; }
};

}  // namespace ops

/// See ops::Dropout; a temporary's elements are reused.
Tensor dropout(Tensor x, const DropoutAttributes& attributes = {});

}  // namespace sinter
