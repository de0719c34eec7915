#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

namespace sinter::optim {

/// Where a training run is.
struct Position {
  int64_t step = 0;   ///< from 0
  int64_t steps = 1;  ///< of the whole run
  int64_t steps_per_epoch = 1;
};

/// What a schedule counts: with `epoch` the rate changes at the start of an epoch only, with `step` at every step.
enum class Unit { epoch, step };

/// The learning rate as a function of the position: a value without state, so that a resumed run needs none.
class Schedule {
 public:
  /// The rate from the optimiser's own, for a position with 0 <= step < steps.
  using Function = std::function<double(double lr, const Position& position)>;

  /// The optimiser's rate throughout.
  Schedule() : Schedule("constant()", [](double lr, const Position&) { return lr; }) {}
  /// A schedule of one's own. The description, which should name all settings, tells checkpoints of different runs
  /// apart.
  Schedule(std::string description, Function function)
      : description_(std::move(description)), function_(std::move(function)) {}

  double operator()(double lr, const Position& position) const { return function_(lr, position); }
  const std::string& describe() const { return description_; }

 private:
  std::string description_;
  Function function_;
};

Schedule constant();

struct StepDecayOptions {
  int64_t every = 1;
  double gamma = 0.1;
  Unit unit = Unit::epoch;
};
/// Multiplied by gamma after every so many epochs or steps (PyTorch's StepLR).
Schedule step_decay(StepDecayOptions options);

struct MultiStepOptions {
  std::vector<int64_t> milestones{};  ///< growing
  double gamma = 0.1;
  Unit unit = Unit::epoch;
};
/// Multiplied by gamma at each of the given epochs or steps (MultiStepLR).
Schedule multi_step(MultiStepOptions options);

struct CosineOptions {
  double eta_min = 0;  ///< a learning rate
  Unit unit = Unit::step;
};
/// Falls along half a cosine, to reach eta_min where the run ends (CosineAnnealingLR with T_max = all epochs or steps).
Schedule cosine(CosineOptions options = {});

struct OneCycleOptions {
  double rising = 0.3;        ///< part of the run in which the rate rises
  double initial = 1.0 / 25;  ///< first rate, as a fraction of the optimiser's
  double last = 1.0 / 25e4;   ///< last rate, as a fraction of the optimiser's
  bool linear = false;        ///< straight lines instead of cosines
};
/// Rises to the optimiser's rate and falls to nearly nothing, step by step (OneCycleLR without cycled momentum; Smith
/// and Topin, 1708.07120).
Schedule one_cycle(OneCycleOptions options = {});

struct WarmUpOptions {
  int64_t steps = 0;
  double epochs = 0;       ///< added to the steps; may be a fraction
  double start = 1.0 / 3;  ///< first rate, as a fraction of what it rises to
};
/// Rises in a straight line, step by step, to where the other schedule starts, then follows that, which sees the rest
/// of the run as the whole: its epochs and milestones count from the end of the warm-up (LinearLR in
/// SequentialLR).
Schedule warm_up(WarmUpOptions options, Schedule then = constant());

}  // namespace sinter::optim
