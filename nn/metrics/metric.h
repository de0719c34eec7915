#pragma once

#include <concepts>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>

#include "../../data/sample.h"
#include "../module.h"

namespace sinter::nn {

/// An image for people to look at.
struct Picture {
  std::string caption;
  Tensor image;  ///< uint8 [H,W,C], of 1 or 3 channels
};

/// What a metric found.
struct Measured {
  std::map<std::string, double> numbers{};  ///< NaN where there was nothing to measure
  std::map<std::string, Tensor> tables{};   ///< such as a confusion matrix, int64 [classes,classes]
  std::vector<Picture> pictures{};
};

/// Something that is measured over a dataset. Its numbers depend on the images and what a network makes of them alone,
/// and on the order of the images.
/// To write one: derive, gather in `add`, and give what was gathered in `measured`.
class Metric {
 public:
  virtual ~Metric() = default;
  /// Forgets everything.
  virtual void reset() = 0;
  /// Throws Error for outputs or a batch that it is not made for.
  virtual void add(const Outputs& outputs, const data::Batch& batch) = 0;
  virtual Measured measured() const = 0;
};

/// Any metric as a value: copies gather by themselves.
class AnyMetric {
 public:
  /// A number of a batch; over a dataset, its mean, weighted by the batches' images.
  using Function = std::function<double(const Outputs& outputs, const data::Batch& batch)>;

  template <std::derived_from<Metric> M>
  AnyMetric(M metric)
      : held_(std::make_unique<M>(std::move(metric))), clone_([](const Metric& other) {
          return std::unique_ptr<Metric>(std::make_unique<M>(static_cast<const M&>(other)));
        }) {}
  AnyMetric(std::string name, Function function);
  AnyMetric(const AnyMetric& other) : held_(other.clone_(*other.held_)), clone_(other.clone_) {}
  AnyMetric(AnyMetric&&) noexcept = default;
  AnyMetric& operator=(AnyMetric other) noexcept {
    held_ = std::move(other.held_);
    clone_ = other.clone_;
    return *this;
  }

  Metric* operator->() { return held_.get(); }
  const Metric* operator->() const { return held_.get(); }

 private:
  std::unique_ptr<Metric> held_;
  std::unique_ptr<Metric> (*clone_)(const Metric&);
};
using Metrics = std::vector<AnyMetric>;

/// What all of them found. Throws Error where two give one name.
Measured measured(const Metrics& metrics);

namespace detail {
/// The float32 output of this index and the batch's target (its labels where `target` is empty), which metrics read.
const Tensor& output_of(const Outputs& outputs, int64_t index, const char* what);
const Tensor& target_of(const data::Batch& batch, const std::string& target);

/// Labels, int64 [...], of logits [...,classes].
class Labels {
 public:
  /// Throws Error for labels of another shape.
  Labels(const Tensor& logits, const Tensor& labels, int64_t ignore_index, const char* what);
  int64_t rows() const { return labels_.elements(); }
  int64_t classes() const { return classes_; }
  /// -1 where it is ignored. Throws Error for one outside 0..classes-1.
  int64_t operator[](int64_t row) const;
  /// The class with the largest logit, the first of equal ones; NaN is largest.
  int64_t predicted(int64_t row) const;

 private:
  const Tensor &logits_, &labels_;
  int64_t classes_, ignore_index_;
  const char* what_;
};
}  // namespace detail

}  // namespace sinter::nn
