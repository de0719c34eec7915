#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>

#include "../data/dataset.h"
#include "../data/inputs.h"
#include "losses/loss.h"
#include "metrics/metric.h"
#include "module.h"

namespace sinter::nn {

/// What `fit` makes small, one number for a batch:
///
///     .loss = [](const nn::Outputs& y, const data::Batch& batch) { return cross_entropy(y[0], batch["mask"]); }
///     .loss = {nn::loss("mse"), "target"}    // of the only output and a target; of the labels where none is named
class BatchLoss {
 public:
  using Function = std::function<Tensor(const Outputs& outputs, const data::Batch& batch)>;

  BatchLoss() = default;
  template <class F>
  requires std::is_invocable_r_v<Tensor, const F&, const Outputs&, const data::Batch&> BatchLoss(F function)
      : function_(std::move(function)) {}
  BatchLoss(Loss loss, std::string target = "");

  explicit operator bool() const { return static_cast<bool>(function_); }
  /// Throws Error unless the function gives one float32 number.
  Tensor operator()(const Outputs& outputs, const data::Batch& batch) const;

 private:
  Function function_;
};

/// How a model does on a dataset.
struct Evaluation {
  double accuracy = 0;  ///< percent; NaN where the network is no classifier, or has a loss of its own
  double loss = 0;      ///< mean over the images; cross-entropy without smoothing, where no other was given
  int64_t images = 0;
  double seconds = 0;
  std::map<std::string, double> metrics{};  ///< by name
  std::map<std::string, Tensor> tables{};   ///< such as confusion matrices
  std::vector<Picture> pictures{};          ///< such as the worst ones

  /// A metric, or "loss" or "accuracy". Throws Error for any other name, with those that there are.
  double operator[](const std::string& name) const;
};

/// Which number says how good an evaluation, or an epoch, is.
struct Monitor {
  /// "loss", "accuracy", or a metric by name: of the validation, where there is one, else of training.
  std::string number = "loss";
  std::optional<bool> larger_is_better{};  ///< none: false for names with "loss" or "error", else true
  double min_change = 0;                   ///< what it must be better by to count

  bool larger() const;
};

struct EvaluateOptions {
  int64_t batch = 256;
  int64_t workers = 1;    ///< threads that prepare batches
  int64_t batches = 0;    ///< so many are enough; 0: the whole dataset
  data::Inputs inputs{};  ///< what the network reads
  BatchLoss loss{};       ///< none: cross-entropy of the only output, logits [N,classes], and the labels
  Metrics metrics{};      ///< with them, a network that is no classifier needs no loss: it is NaN
  std::function<data::Batch(std::vector<data::Sample>)> collate{};  ///< of the loader
};

namespace detail {
using AnyForward = std::function<Outputs(std::span<const Tensor>)>;
Evaluation evaluate(const AnyForward& model, const data::Dataset& dataset, const EvaluateOptions& options);
Evaluation evaluate(const Module& model, const data::Dataset& dataset, const EvaluateOptions& options);

template <class Model>
inline constexpr bool kOneTensor = std::is_invocable_r_v<Tensor, const Model&, const Tensor&>;
// A class with an operator for one tensor and another for several, such as a simulator.
template <class Model>
inline constexpr bool kOverloaded = requires {
  static_cast<std::vector<Tensor> (Model::*)(std::span<const Tensor>) const>(&Model::operator());
};
template <class Model>
constexpr bool several_tensors() {
  if constexpr (kOverloaded<Model>)
    return true;
  else if constexpr (kOneTensor<Model>)
    return false;
  else
    return std::is_invocable_r_v<std::vector<Tensor>, const Model&, std::span<const Tensor>>;
}
}  // namespace detail

/// Runs a model, or anything else that turns images [N,H,W,C] into logits [N,classes], or several inputs (`span<const
/// Tensor>`) into several outputs, over a dataset in evaluation behaviour, whatever the modules' flags say. A module
/// that can be traced runs as its fused graph, with the same bits.
template <class Model>
requires(std::is_base_of_v<Module, Model> || detail::kOneTensor<Model> || detail::several_tensors<Model>()) Evaluation
    evaluate(const Model& model, const data::Dataset& dataset, const EvaluateOptions& options = {}) {
  if constexpr (std::is_base_of_v<Module, Model>) {
    return detail::evaluate(static_cast<const Module&>(model), dataset, options);
  } else if constexpr (detail::several_tensors<Model>()) {
    return detail::evaluate([&model](std::span<const Tensor> x) -> Outputs { return model(x); }, dataset, options);
  } else {
    const auto one = [&model](std::span<const Tensor> x) -> Outputs {
      check(x.size() == 1, "evaluate: what is evaluated takes one tensor, but there are ", x.size(), " inputs");
      return std::vector<Tensor>{model(x[0])};
    };
    return detail::evaluate(detail::AnyForward(one), dataset, options);
  }
}

}  // namespace sinter::nn
