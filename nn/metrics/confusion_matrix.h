#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "metric.h"

namespace sinter::nn {

struct ClassMetricOptions {
  int64_t ignore_index = -100;  ///< rows of this label do not count
  int64_t output = 0;           ///< of the network: logits float32 [...,classes]; of one channel: above 0 is class 1
  std::string target{};         ///< int64 [...], such as "mask"; empty: the labels
  std::string name{};           ///< of the number; empty: the metric's own
};

/// How often each class was taken for each, over rows or pixels: what metrics of classes are made of.
class Confusion {
 public:
  explicit Confusion(ClassMetricOptions options) : options_(std::move(options)) {}
  void reset() { counts_.clear(); }
  /// Throws Error for another number of classes than before.
  void add(const Outputs& outputs, const data::Batch& batch, const char* what);

  const ClassMetricOptions& options() const { return options_; }
  int64_t classes() const { return classes_; }
  int64_t count(int64_t label, int64_t predicted) const {
    return counts_[static_cast<size_t>(label * classes_ + predicted)];
  }
  int64_t rows() const;
  /// True positives, false positives, false negatives.
  struct Of {
    int64_t right = 0, wrongly = 0, missed = 0;
    bool occurs() const { return right + wrongly + missed > 0; }
  };
  Of of(int64_t cls) const;

 private:
  ClassMetricOptions options_;
  int64_t classes_ = 0;
  std::vector<int64_t> counts_;  // [label,predicted]
};

/// A number of each class, as a table, and its mean over the classes that occur among labels or predictions: NaN where
/// none does.
void add_per_class(const Confusion& confusion, const std::string& number, const std::string& table,
                   double (*value)(const Confusion::Of&, int64_t rows), Measured& measured);

/// The table "confusion" (or its own name), int64 [classes,classes]: rows are labels, columns what was predicted.
class ConfusionMatrix final : public Metric {
 public:
  ConfusionMatrix(ClassMetricOptions options = {}) : confusion_(std::move(options)) {}
  void reset() override { confusion_.reset(); }
  void add(const Outputs& outputs, const data::Batch& batch) override { confusion_.add(outputs, batch, "confusion"); }
  Measured measured() const override;

 private:
  Confusion confusion_;
};

}  // namespace sinter::nn
