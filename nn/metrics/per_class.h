#pragma once

#include "confusion_matrix.h"

namespace sinter::nn {

/// Of every class, 0 to 1, as tables float32 [classes], and their means over the classes that occur among labels or
/// predictions (others are NaN in the tables): "precision", right of those predicted; "recall", right of those that it
/// was; "class_accuracy", rows that were rightly said to be of the class or not. The tables end in "_per_class", and
/// `.name` goes before all names.
class PerClass final : public Metric {
 public:
  PerClass(ClassMetricOptions options = {}) : confusion_(std::move(options)) {}
  void reset() override { confusion_.reset(); }
  void add(const Outputs& outputs, const data::Batch& batch) override { confusion_.add(outputs, batch, "per class"); }
  Measured measured() const override;

 private:
  Confusion confusion_;
};

}  // namespace sinter::nn
