#pragma once
// Private: what `fit` writes to its logs.

#include <cstdint>
#include <functional>
#include <utility>
#include <vector>

#include "../core/graph.h"
#include "fit.h"

namespace sinter::nn {

/// Seconds of an epoch by what they were spent on.
struct PhaseTimes {
  double data = 0, forward = 0, backward = 0, optimizer = 0, validation = 0, checkpoint = 0;
};

class TrainingLog {
 public:
  TrainingLog(const FitOptions& options, const Module& model)
      : logs_(options.log), every_(options.log_steps), model_(model) {}

  PhaseTimes& times() { return times_; }
  void resume(int64_t step) { logs_.resume(step); }
  void flush() { logs_.flush(); }
  void step(int64_t step, double loss, double lr);
  /// Runs the model for its activations where they are wanted, and gives the inputs and the graph that ran, if any.
  using RunModel = std::function<std::pair<std::vector<Tensor>, const Graph*>(const Graph::NodeHook& hook)>;
  void epoch(int64_t step, const EpochReport& report, const RunModel& run);
  void finish(const History& history);

 private:
  void histograms(int64_t step, const RunModel& run);

  Logs logs_;
  int64_t every_, last_step_ = 0;
  const Module& model_;
  PhaseTimes times_;
};

}  // namespace sinter::nn
