#pragma once

#include <cstdint>

#include "../core/tensor.h"

namespace sinter::nn {

/// How many rows of logits (float32 [N,classes]) have their label (int64 [N]) among the `k` largest. Of equal logits
/// the first is larger, as `argmax` has it; NaN is larger than any number, and no hit.
/// Throws Error for other shapes and types, and for labels outside 0..classes-1.
int64_t count_correct(const Tensor& logits, const Tensor& labels, int64_t k = 1);

/// The same as percent of N.
double accuracy(const Tensor& logits, const Tensor& labels);
double top_k_accuracy(const Tensor& logits, const Tensor& labels, int64_t k);

/// Mean loss and accuracy of the images seen so far.
class Meter {
 public:
  /// `loss` is the batch's mean.
  void add(double loss, const Tensor& logits, const Tensor& labels);
  double loss() const;
  /// Percent.
  double accuracy() const;
  int64_t images() const { return images_; }
  int64_t correct() const { return correct_; }

 private:
  double loss_sum_ = 0;
  int64_t correct_ = 0, images_ = 0;
};

}  // namespace sinter::nn
