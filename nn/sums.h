#pragma once
// Private: loss and accuracy over the images of one pass.

#include <cmath>
#include <limits>

#include "evaluate.h"

namespace sinter::nn {

/// Plain numbers, so that a checkpoint can hold them.
struct Sums {
  double loss = 0;
  int64_t correct = 0, images = 0;
  bool classifies = true;  // `correct` means something

  double mean_loss() const { return images == 0 ? 0 : loss / static_cast<double>(images); }
  double accuracy() const {
    if (!classifies) return std::numeric_limits<double>::quiet_NaN();
    return images == 0 ? 0 : 100 * static_cast<double>(correct) / static_cast<double>(images);
  }
};

/// The loss that was given or, without one, cross-entropy of logits and labels.
Tensor loss_of(const BatchLoss& loss, const Outputs& outputs, const data::Batch& batch, double label_smoothing = 0);

/// Adds a batch. With a loss of the user's, what is correct is not counted.
void add(Sums& sums, double mean_loss, bool own_loss, const Outputs& outputs, const data::Batch& batch);

/// `evaluate` with any forward pass, in evaluation behaviour.
Evaluation evaluate_with(const detail::AnyForward& model, const data::Dataset& dataset, const EvaluateOptions& options,
                         Metrics& metrics);

}  // namespace sinter::nn
