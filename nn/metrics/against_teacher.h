#pragma once

#include <cstdint>
#include <functional>
#include <span>
#include <string>
#include <vector>

#include "../../data/inputs.h"
#include "metric.h"

namespace sinter::nn {

struct AgainstTeacherOptions {
  data::Inputs inputs{};  ///< what the teacher reads
  int64_t output = -1;    ///< which output is compared; -1: all, those of the network with as many of the teacher
  std::string name{};     ///< before all names
};

/// How near a network's outputs y are to those x of another one, such as its float form: "sqnr" in dB, 10 log10(sum x^2
/// / sum (y - x)^2), infinity where nothing differs; "cosine", sum xy / sqrt(sum x^2 sum y^2); and "agreement", the
/// percentage of rows (last axis) whose largest value is at the same place. Sums are over all images.
class AgainstTeacher final : public Metric {
 public:
  using Teacher = std::function<std::vector<Tensor>(std::span<const Tensor>)>;

  /// A module outlives the metric and runs in evaluation behaviour.
  explicit AgainstTeacher(const Module& teacher, AgainstTeacherOptions options = {});
  explicit AgainstTeacher(Teacher teacher, AgainstTeacherOptions options = {});
  void reset() override;
  void add(const Outputs& outputs, const data::Batch& batch) override;
  Measured measured() const override;

 private:
  Teacher teacher_;
  AgainstTeacherOptions options_;
  double signal_ = 0, power_ = 0, product_ = 0, noise_ = 0;
  int64_t rows_ = 0, agreeing_ = 0;
};

}  // namespace sinter::nn
