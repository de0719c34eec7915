#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "module.h"

namespace sinter::nn {

/// Averages of a model's parameters and float32 buffers over the steps of its training: after each,
///
///     average += (1 - d) (value - average),    d = min(decay, (1 + steps) / (10 + steps))
///
/// which starts from the values that there are (the warm-up is TensorFlow's). Other buffers, and values that are not
/// finite, are taken as they are. A value that never changes is its own average, to the bit.
class Ema {
 public:
  /// Throws Error unless 0 < decay < 1.
  Ema(const Module& model, double decay);

  /// After a step of the optimiser.
  void update(const Module& model);
  /// Exchanges the model's values and the averages: once to evaluate or save the averages, once more to go on training.
  void swap(Module& model);

  double decay() const { return decay_; }
  int64_t steps() const { return steps_; }
  /// The averages, by the names of the model's state; after `swap`, what the model had.
  const std::vector<NamedParameter>& state() const { return state_; }

  /// Goes on from the averages that a model has, after so many steps.
  void restore(const Module& averages, int64_t steps);

 private:
  double decay_;
  int64_t steps_ = 0;
  std::vector<NamedParameter> state_;
};

/// While alive, the model has the averages, if there are any.
class WithEma {
 public:
  WithEma(Module& model, Ema* ema) : model_(model), ema_(ema) {
    if (ema_ != nullptr) ema_->swap(model_);
  }
  ~WithEma() {
    if (ema_ != nullptr) ema_->swap(model_);
  }
  WithEma(const WithEma&) = delete;
  WithEma& operator=(const WithEma&) = delete;

 private:
  Module& model_;
  Ema* ema_;
};

}  // namespace sinter::nn
