#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "metric.h"

namespace sinter::nn {

/// What a detector found in one image.
struct Detections {
  Tensor boxes;    ///< float32 [n,4]: x1, y1, x2, y2
  Tensor scores;   ///< float32 [n]
  Tensor classes;  ///< int64 [n]
};

struct AveragePrecisionOptions {
  /// The detections of every image of the batch, in its order; their own order says which of equal scores is first.
  std::function<std::vector<Detections>(const Outputs& outputs, const data::Batch& batch)> decode{};
  std::string boxes = "boxes";      ///< list of the batch: float32 [n,4] an image
  std::string classes = "classes";  ///< list of the batch: int64 [n]
  std::string ignored =
      "box_crowd";               ///< list, where the batch has it: boxes of a number that is not 0 need not be found
  int64_t max_detections = 100;  ///< those of an image and class with the highest scores count
  std::string name{};            ///< before all names
};

/// COCO's average precision, 0 to 1: "ap50" and "ap75" with boxes that overlap by an IoU of at least 0.5 and 0.75, and
/// "ap", the mean over 0.5, 0.55 to 0.95; each the mean over the classes that have boxes (NaN where none has), of the
/// precision at 101 recalls. Tables "ap_per_class" and "ap50_per_class", float32 [classes], have NaN for the others.
/// An ignored box takes any number of detections out of the count, by the share of the detection that it covers.
class AveragePrecision final : public Metric {
 public:
  AveragePrecision(AveragePrecisionOptions options);
  void reset() override;
  void add(const Outputs& outputs, const data::Batch& batch) override;
  Measured measured() const override;

  struct Box {
    float x1, y1, x2, y2;
    int64_t cls;
    float score;   // of a detection
    bool ignored;  // of a true box
  };
  struct Image {
    std::vector<Box> found, there;
  };

 private:
  AveragePrecisionOptions options_;
  std::vector<Image> images_;
};

}  // namespace sinter::nn
