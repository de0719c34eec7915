#pragma once

#include <string>

#include "../op.h"

namespace sinter {

struct CrossEntropyAttributes {
  double label_smoothing = 0;      ///< share of the target that is spread evenly over all classes
  int64_t ignore_index = -100;     ///< rows of this label count for nothing
  std::string reduction = "mean";  ///< or "sum", or "none"
};
SINTER_FIELDS(CrossEntropyAttributes, label_smoothing, ignore_index, reduction)

namespace ops {

/// -sum_c target[c] w[c] log softmax(x)[c] of every row: x float32 [...,C], labels int64 [...],
/// and, as an input that may be missing, w float32 [C], the classes' weights.
/// target = (1 - label_smoothing) one_hot(label) + label_smoothing / C (Szegedy et al., 1512.00567).
/// "none" gives [...], 0 where ignored; "sum" and "mean" have no axes. The mean is over the rows that are not ignored,
/// each of the weight w[label]: NaN where there is none, as in PyTorch.
/// Throws Error for a label outside 0..C-1 that is not ignore_index.
struct CrossEntropy final : OpWith<CrossEntropyAttributes> {
  using OpWith::OpWith;
  std::string_view name() const override { return "cross_entropy"; }
  Specs infer(std::span<const Spec> x) const override;
  void forward(Inputs x, Outputs y, Context& context) const override;
  void backward(const Context& context, Outputs dy, Gradients& dx) const override;
};

}  // namespace ops

struct CrossEntropyOptions {
  double label_smoothing = 0;      ///< share of the target that is spread evenly over all classes
  int64_t ignore_index = -100;     ///< rows of this label count for nothing
  std::string reduction = "mean";  ///< or "sum", or "none"
  Tensor weight{};                 ///< of the classes, float32 [C]; none: all 1
};

/// See ops::CrossEntropy. `target` is labels, int64 [...], or, as of mixed images, the classes' probabilities, float32
/// of the logits' shape, through which gradients flow, too; then no row is ignored, and the mean is over all rows.
Tensor cross_entropy(const Tensor& logits, const Tensor& target, const CrossEntropyOptions& options = {});

}  // namespace sinter
