#pragma once

#include <cstdint>
#include <string>

#include "metric.h"

namespace sinter::nn {

struct AccuracyOptions {
  int64_t k = 1;                ///< right are those whose label is among so many largest
  int64_t ignore_index = -100;  ///< rows of this label do not count
  int64_t output = 0;           ///< of the network, float32 [...,classes]
  std::string target{};         ///< int64 [...]; empty: the labels
  std::string name{};           ///< empty: "accuracy", or "top5" for k = 5
};

/// Percent of rows, or pixels, whose label is among the k largest logits. Of equal logits the first is larger, as
/// `argmax` has it; NaN is no hit. NaN where there were no rows.
class Accuracy final : public Metric {
 public:
  Accuracy(AccuracyOptions options = {});
  void reset() override;
  void add(const Outputs& outputs, const data::Batch& batch) override;
  Measured measured() const override;

 private:
  AccuracyOptions options_;
  int64_t right_ = 0, rows_ = 0;
};

/// `Accuracy` with k = 5, "top5", unless told otherwise.
Accuracy top_k(int64_t k = 5);

}  // namespace sinter::nn
