#pragma once

#include <optional>
#include <string>
#include <vector>

#include "tensor.h"

namespace sinter {

/// A tensor that a module or graph owns: trained, or a buffer (running statistics). Copying clones the values; moving
/// keeps the storage; `share()` is another owner of the same elements. What is frozen, by
/// `tensor().set_requires_grad(false)`, is frozen in copies, graphs and prepared models, too; optimisers pass it over.
class Parameter {
 public:
  Parameter() = default;
  explicit Parameter(Tensor value, bool trained = true);
  Parameter(const Parameter& other);
  Parameter(Parameter&&) noexcept = default;
  /// Copies the values into the existing elements when the shapes agree (so that whoever shares them sees it), else
  /// becomes a clone.
  Parameter& operator=(const Parameter& other);
  Parameter& operator=(Parameter&&) noexcept = default;

  Parameter share() const;
  const Tensor& tensor() const { return value_; }
  Tensor& tensor() { return value_; }
  operator const Tensor&() const { return value_; }
  bool defined() const { return value_.defined(); }
  /// False for a buffer.
  bool trained() const { return trained_; }
  /// Its own weight decay, for optimisers to use in place of theirs; none: theirs. Copies and those who share from then
  /// on have it, too. Throws Error unless it is finite and at least 0. Returns *this.
  Parameter& set_weight_decay(std::optional<double> weight_decay);
  const std::optional<double>& weight_decay() const { return weight_decay_; }
  /// What no optimiser's step takes its values below: they become this; none: no limit. Kept as the weight decay is.
  Parameter& set_minimum(std::optional<float> minimum);
  const std::optional<float>& minimum() const { return minimum_; }

 private:
  Tensor value_;
  bool trained_ = true;
  std::optional<double> weight_decay_;
  std::optional<float> minimum_;
};

/// A parameter under its path: `body.3.conv1.weight`. It shares the elements with the module or graph it came from.
struct NamedParameter {
  std::string name;
  Parameter value;
};

}  // namespace sinter
