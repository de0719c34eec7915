#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "../data/augment.h"
#include "../data/dataset.h"
#include "../data/inputs.h"
#include "../data/sampler.h"
#include "evaluate.h"
#include "log/logger.h"
#include "metrics/metric.h"
#include "module.h"
#include "optim/optimizer.h"
#include "optim/schedule.h"
#include "optim/sgd.h"

namespace sinter::nn {

/// One epoch of training.
struct EpochReport {
  int64_t epoch = 0;    ///< from 0
  double loss = 0;      ///< mean over the epoch's images, in training behaviour
  double accuracy = 0;  ///< percent, likewise; NaN with a loss of one's own
  double lr = 0;        ///< of the last step
  double seconds = 0;   ///< without the validation
  int64_t images = 0;
  std::optional<Evaluation> validation{};
};

/// One step of the optimiser, right after it; what it refers to lives as long as the call.
struct StepReport {
  int64_t epoch = 0;         ///< from 0
  int64_t step = 0;          ///< of the whole run, from 1
  double loss = 0;           ///< mean over the images of the step's batches
  double lr = 0;             ///< with which it was made
  const data::Batch& batch;  ///< the step's last
  const Outputs& outputs;    ///< what the model made of it, in training behaviour
};

struct History {
  std::vector<EpochReport> epochs;
  bool stopped = false;        ///< it was asked to stop while it ran: by request_stop or FitOptions::stop
  bool stopped_early = false;  ///< it ran out of patience
  int64_t best_epoch = -1;     ///< by FitOptions::monitor, from 0; the first of equal ones
};

struct FitOptions {
  int64_t epochs = 1;
  int64_t batch = 128;
  optim::AnyOptimizer optimizer = optim::SGD{{.lr = 0.1, .momentum = 0.9}};
  optim::Schedule schedule = optim::cosine();
  data::Inputs inputs{};       ///< what the model reads of a batch; several where it has several inputs
  BatchLoss loss{};            ///< none: cross-entropy of the only output, logits [N,classes], and the labels
  Metrics metrics{};           ///< of the validation
  double label_smoothing = 0;  ///< of cross-entropy, where no other loss is given
  /// Batches whose gradients, in the mean over their images, make one step, as one large batch would; an epoch's last
  /// step may have fewer.
  int64_t accumulate = 1;
  /// Decay of averages of the weights (see Ema), which are what is validated, saved, and in the model when `fit`
  /// returns; 0: none. A checkpoint has both, and `load` reads the averages.
  double ema = 0;
  double clip_norm = 0;   ///< of all gradients together; 0: as they are
  double clip_value = 0;  ///< of every element of a gradient; 0: as they are
  std::vector<data::Augmentation> augment{};
  uint64_t seed = 0;        ///< of order and augmentation
  data::Sampler sampler{};  ///< which images an epoch has; none: all, shuffled
  int64_t workers = 1;      ///< threads that prepare batches: changes no result
  bool drop_last = false;   ///< leave out a last batch that is smaller than the others
  std::function<data::Batch(std::vector<data::Sample>)> collate{};  ///< of the loader
  int64_t batches = 0;                        ///< an epoch ends after this many; 0: after the whole dataset
  const data::Dataset* validation = nullptr;  ///< evaluated after every epoch
  std::string checkpoint{};                   ///< file that is replaced after every epoch and when training is stopped
  int64_t checkpoint_steps = 0;               ///< also after so many steps; 0: not
  double checkpoint_seconds = 0;              ///< also after so many seconds; 0: not
  bool resume = false;                        ///< go on from `checkpoint` where that exists
  Monitor monitor{};                          ///< by what epochs are compared
  std::string best{};                         ///< file that the model is saved to after an epoch better than all before
  int64_t patience = 0;                       ///< training ends after so many epochs without a better one; 0: not
  bool progress = true;                       ///< a line on stderr
  Logs log{};                                 ///< where numbers, histograms and pictures go
  int64_t log_steps = 50;                     ///< numbers of training are logged after so many steps, and every epoch
  /// After how many steps of the whole run something stays as it is (see `Frozen`), as towards the end of
  /// quantisation-aware training; 0: from the start; none: never. It is so within `fit` alone.
  std::optional<int64_t> freeze_observers_after{};
  std::optional<int64_t> freeze_batch_norm_after{};
  std::optional<int64_t> freeze_scales_after{};
  std::function<void(const EpochReport&)> on_epoch{};
  std::function<void(const StepReport&)> on_step{};
  /// Asked before every step: true ends this run alone, as `request_stop` ends all. May be another thread's flag.
  std::function<bool()> stop{};
};

/// Thrown where training cannot go on: loss, parameters or the optimiser's state are no longer finite.
class Diverged : public Error {
 public:
  using Error::Error;
};

/// Trains a model in place, in training behaviour whatever the modules' flags say (they stay as they are). A run that
/// is resumed ends with the same bits as one that was never interrupted, and goes on in the same logs.
/// A checkpoint is written only where a run can go on from it: with finite values, which give a finite loss on the
/// batch before; else the last one that was good stays.
/// Throws Error for a parameter that is used but not listed in SINTER_CHILDREN, for an option that freezes what the
/// model has not, Diverged when loss, parameters, buffers or the optimiser's state are no longer finite, and Error for
/// a checkpoint that is damaged or of another run. An exception, of a callback as well, ends this run alone.
/// Gradients that were there before are forgotten, and none are left.
History fit(Module& model, const data::Dataset& dataset, const FitOptions& options = {});

/// Asks every `fit` that runs, or else the next one, to stop: it finishes its step, writes its checkpoint and returns,
/// and what starts after the request is not asked. One run alone is stopped by FitOptions::stop. May be called by
/// signal handlers; `request_stop(false)` takes it back.
void request_stop(bool stop = true) noexcept;
/// Whether a request is there that no `fit` has followed.
bool stop_requested() noexcept;

}  // namespace sinter::nn
