#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "metric.h"

namespace sinter::nn {

struct WorstImagesOptions {
  int64_t count = 16;
  int64_t output = 0;    ///< of the network: logits float32 [N,...,classes]
  std::string target{};  ///< int64 [N,...]; empty: the labels
  int64_t ignore_index = -100;
  std::vector<std::string> classes{};  ///< names for captions
  /// How bad image `n` of a batch is; none: its mean cross-entropy.
  std::function<double(const Outputs& outputs, const data::Batch& batch, int64_t n)> score{};
};

/// Pictures of the images that a network does worst on, the worst first, as logs and reports show them: from an image's
/// smallest value to its largest as 0 to 255, the first channel of those that are neither grey nor RGB.
class WorstImages final : public Metric {
 public:
  WorstImages(WorstImagesOptions options = {});
  void reset() override { worst_.clear(); }
  void add(const Outputs& outputs, const data::Batch& batch) override;
  Measured measured() const override;

 private:
  struct Found {
    double score;
    Picture picture;
  };
  WorstImagesOptions options_;
  std::vector<Found> worst_;  // by falling score
};

/// An image of a batch as a picture.
Tensor to_picture(const Tensor& images, int64_t n);

}  // namespace sinter::nn
