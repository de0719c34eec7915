#pragma once

#include <concepts>
#include <functional>
#include <initializer_list>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>

#include "sample.h"

namespace sinter::data {

/// What a network reads of a batch: its images unless told otherwise. `{"image", "depth"}` are the images and a target
/// by its name; a function gives anything: `[](const data::Batch& b) { return std::vector{b.images, b["depth"]}; }`.
/// Everything that runs a network over a dataset takes one: fit, evaluate, comparisons and post-training methods.
class Inputs {
 public:
  Inputs() = default;
  /// "image" is the images; others are targets.
  Inputs(std::initializer_list<const char*> names);
  template <class Function>
  requires std::is_invocable_r_v < std::vector<Tensor>,
  const Function&, const Batch& > ||
                       std::is_invocable_r_v<Tensor, const Function&, const Batch&> Inputs(Function function)
      : description_("a function") {
    if constexpr (std::is_invocable_r_v<std::vector<Tensor>, const Function&, const Batch&>)
      function_ = std::move(function);
    else
      function_ = [function = std::move(function)](const Batch& batch) { return std::vector<Tensor>{function(batch)}; };
  }

  std::vector<Tensor> operator()(const Batch& batch) const;
  /// The names; "image" where nothing was said.
  const std::string& describe() const { return description_; }

 private:
  std::function<std::vector<Tensor>(const Batch&)> function_;
  std::string description_ = "image";
};

/// How many images a batch has.
int64_t count_of(const Batch& batch);

}  // namespace sinter::data
