#pragma once

#include <string>
#include <vector>

#include "dataset.h"

namespace sinter::data {

struct TensorDatasetOptions {
  Tensor labels{};                                     ///< int64 [N]; undefined: all are 0
  Tensors targets{};                                   ///< [N,...] each
  std::map<std::string, std::vector<Tensor>> lists{};  ///< N tensors each, of any shapes
  std::vector<std::string> classes{};
  std::vector<float> black{}, white{};  ///< [C]: what such pixels are; empty: 0 and 1
};

/// Images that are in memory as they are: float32 [N,H,W,C], with all that belongs to them. Shared with the caller, who
/// no longer writes to them.
class TensorDataset final : public Dataset {
 public:
  /// Throws Error when these do not fit together.
  explicit TensorDataset(const Tensor& images, TensorDatasetOptions options = {});

  int64_t size() const override { return images_.size(0); }
  Shape image_shape() const override;
  void read(int64_t index, std::span<float> image) const override;
  int64_t label(int64_t index) const override;
  Sample sample(int64_t index) const override;
  std::vector<std::string> classes() const override { return options_.classes; }
  std::vector<float> black() const override;
  std::vector<float> white() const override;

 private:
  Tensor images_;
  TensorDatasetOptions options_;
};

}  // namespace sinter::data
