#pragma once

#include <concepts>
#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <type_traits>
#include <vector>

#include "../data/augment.h"
#include "../data/dataset.h"
#include "module.h"
#include "optim/optimizer.h"
#include "optim/schedule.h"
#include "optim/sgd.h"

namespace sinter::nn {

/// How a model does on a dataset.
struct Evaluation {
  double accuracy = 0;  ///< percent
  double loss = 0;      ///< mean cross-entropy, without smoothing
  int64_t images = 0;
  double seconds = 0;
};

struct EvaluateOptions {
  int64_t batch = 256;
  int64_t workers = 1;  ///< threads that prepare batches
};

namespace detail {
Evaluation evaluate(const std::function<Tensor(const Tensor&)>& model, const data::Dataset& dataset,
                    const EvaluateOptions& options);
Evaluation evaluate(const Module& model, const data::Dataset& dataset, const EvaluateOptions& options);
}  // namespace detail

/// Runs a model, or anything else that turns images [N,H,W,C] into logits [N,classes], over a dataset in evaluation
/// behaviour, whatever the modules' flags say. A module that can be traced runs as its fused graph, with the same bits.
template <class Model>
requires std::is_invocable_r_v<Tensor, const Model&, const Tensor&> Evaluation
evaluate(const Model& model, const data::Dataset& dataset, const EvaluateOptions& options = {}) {
  if constexpr (std::is_base_of_v<Module, Model>)
    return detail::evaluate(static_cast<const Module&>(model), dataset, options);
  else
    return detail::evaluate([&model](const Tensor& x) -> Tensor { return model(x); }, dataset, options);
}

/// One epoch of training.
struct EpochReport {
  int64_t epoch = 0;    ///< from 0
  double loss = 0;      ///< mean over the epoch's images, in training behaviour
  double accuracy = 0;  ///< percent, likewise
  double lr = 0;        ///< of the last step
  double seconds = 0;   ///< without the validation
  int64_t images = 0;
  std::optional<Evaluation> validation{};
};

struct History {
  std::vector<EpochReport> epochs;
  bool stopped = false;  ///< request_stop was called while it ran
};

struct FitOptions {
  int64_t epochs = 1;
  int64_t batch = 128;
  optim::AnyOptimizer optimizer = optim::SGD{{.lr = 0.1, .momentum = 0.9}};
  optim::Schedule schedule = optim::cosine();
  double label_smoothing = 0;
  double clip_norm = 0;   ///< of all gradients together; 0: as they are
  double clip_value = 0;  ///< of every element of a gradient; 0: as they are
  std::vector<data::Augmentation> augment{};
  uint64_t seed = 0;                          ///< of order and augmentation
  int64_t workers = 1;                        ///< threads that prepare batches: changes no result
  bool drop_last = false;                     ///< leave out a last batch that is smaller than the others
  int64_t batches = 0;                        ///< an epoch ends after this many; 0: after the whole dataset
  const data::Dataset* validation = nullptr;  ///< evaluated after every epoch
  std::string checkpoint{};                   ///< file that is replaced after every epoch and when training is stopped
  int64_t checkpoint_steps = 0;               ///< also after so many steps; 0: not
  double checkpoint_seconds = 0;              ///< also after so many seconds; 0: not
  bool resume = false;                        ///< go on from `checkpoint` where that exists
  bool progress = true;                       ///< a line on stderr
  /// After how many steps of the whole run something stays as it is (see `Frozen`), as towards the end of
  /// quantisation-aware training; 0: from the start; none: never. It is so within `fit` alone.
  std::optional<int64_t> freeze_observers_after{};
  std::optional<int64_t> freeze_batch_norm_after{};
  std::optional<int64_t> freeze_scales_after{};
  std::function<void(const EpochReport&)> on_epoch{};
};

/// Trains a model in place with cross-entropy, in training behaviour whatever the modules' flags say (they stay as
/// they are). A run that is resumed ends with the same bits as one that was never interrupted.
/// A checkpoint is written only where a run can go on from it: with finite values, which give a finite loss on the
/// batch before; else the last one that was good stays.
/// Throws Error for a parameter that is used but not listed in SINTER_CHILDREN, for an option that freezes what the
/// model has not, when loss, parameters, buffers or the optimiser's state are no longer finite, and for a checkpoint
/// that is damaged or of another run.
History fit(Module& model, const data::Dataset& dataset, const FitOptions& options = {});

/// Asks every `fit` that runs, or else the next one, to stop: it finishes its step, writes its checkpoint and returns,
/// and what runs after it is not asked. May be called by signal handlers; `request_stop(false)` takes it back.
void request_stop(bool stop = true) noexcept;
/// Whether a request is there that no `fit` has followed.
bool stop_requested() noexcept;

}  // namespace sinter::nn
