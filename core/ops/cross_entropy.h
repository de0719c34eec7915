#pragma once

#include "../op.h"

namespace sinter {

struct CrossEntropyAttributes {
  double label_smoothing = 0;  ///< share of the target that is spread evenly over all classes
};
SINTER_FIELDS(CrossEntropyAttributes, label_smoothing)

namespace ops {

/// The mean over rows of -sum_c target[c] log softmax(x)[c]: x float32 [N,C], labels int64 [N]; the result has no axes.
/// target = (1 - label_smoothing) one_hot(label) + label_smoothing / C (Szegedy et al., 1512.00567).
/// Throws Error for a label outside 0..C-1.
struct CrossEntropy final : OpWith<CrossEntropyAttributes> {
  using OpWith::OpWith;
  std::string_view name() const override { return "cross_entropy"; }
  Specs infer(std::span<const Spec> x) const override;
  void forward(Inputs x, Outputs y, Context& context) const override;
  void backward(const Context& context, Outputs dy, Gradients& dx) const override;
};

}  // namespace ops

/// See ops::CrossEntropy.
Tensor cross_entropy(const Tensor& logits, const Tensor& labels, const CrossEntropyAttributes& attributes = {});

}  // namespace sinter
