#pragma once

#include "confusion_matrix.h"

namespace sinter::nn {

/// "dice": the mean over classes of 2 right / (2 right + wrongly + missed), 0 to 1, as `MeanIoU` otherwise; it is also
/// the mean F1.
class Dice final : public Metric {
 public:
  Dice(ClassMetricOptions options = {}) : confusion_(std::move(options)) {}
  void reset() override { confusion_.reset(); }
  void add(const Outputs& outputs, const data::Batch& batch) override { confusion_.add(outputs, batch, "dice"); }
  Measured measured() const override;

 private:
  Confusion confusion_;
};

}  // namespace sinter::nn
