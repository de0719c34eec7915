#pragma once

#include "confusion_matrix.h"

namespace sinter::nn {

/// "miou": the mean over classes of right / (right + wrongly + missed), 0 to 1, over the pixels of all images together;
/// classes that occur neither among labels nor predictions are left out. The table "miou_per_class" has NaN for these.
class MeanIoU final : public Metric {
 public:
  MeanIoU(ClassMetricOptions options = {}) : confusion_(std::move(options)) {}
  void reset() override { confusion_.reset(); }
  void add(const Outputs& outputs, const data::Batch& batch) override { confusion_.add(outputs, batch, "miou"); }
  Measured measured() const override;

 private:
  Confusion confusion_;
};

}  // namespace sinter::nn
