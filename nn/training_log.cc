#include "training_log.h"

#include <algorithm>
#include <cmath>

#include "../core/format.h"
#include "progress.h"

namespace sinter::nn {

void TrainingLog::step(int64_t step, double loss, double lr) {
  last_step_ = step;
  if (logs_.empty() || step % every_ != 0) return;
  logs_.scalar("train/loss", step, loss);
  logs_.scalar("train/lr", step, lr);
}

void TrainingLog::epoch(int64_t step, const EpochReport& report, const RunModel& run) {
  const PhaseTimes times = std::exchange(times_, {});
  if (logs_.empty()) return;
  logs_.scalar("epoch/number", step, static_cast<double>(report.epoch + 1));
  logs_.scalar("epoch/loss", step, report.loss);
  if (!std::isnan(report.accuracy)) logs_.scalar("epoch/accuracy", step, report.accuracy);
  logs_.scalar("epoch/images_per_second", step, static_cast<double>(report.images) / report.seconds);
  if (report.validation) {
    const Evaluation& validation = *report.validation;
    logs_.scalar("validation/loss", step, validation.loss);
    if (!std::isnan(validation.accuracy)) logs_.scalar("validation/accuracy", step, validation.accuracy);
    for (const auto& [name, value] : validation.metrics) logs_.scalar("validation/" + name, step, value);
    for (const auto& [name, table] : validation.tables) logs_.table("validation/" + name, step, table);
    for (size_t i = 0; i < validation.pictures.size(); ++i)
      logs_.image(sinter::text("validation/picture_", i), step, validation.pictures[i].image,
                  validation.pictures[i].caption);
  }
  logs_.scalar("time/data", step, times.data);
  logs_.scalar("time/forward", step, times.forward);
  logs_.scalar("time/backward", step, times.backward);
  logs_.scalar("time/optimizer", step, times.optimizer);
  logs_.scalar("time/validation", step, times.validation);
  logs_.scalar("time/checkpoint", step, times.checkpoint);  // that behind the epoch before
  if (logs_.wants_histograms()) histograms(step, run);
  logs_.flush();
}

void TrainingLog::histograms(int64_t step, const RunModel& run) {
  for (const NamedParameter& state : model_.named_state())
    if (state.value.trained()) logs_.histogram("weights/" + state.name, step, state.value.tensor());
  std::vector<Tensor> values;  // by node
  const auto [inputs, graph] = run([&](size_t node, const std::vector<Tensor>& outputs) {
    values.resize(std::max(values.size(), node + 1));
    values[node] = outputs[0];
  });
  for (size_t i = 0; graph != nullptr && i < values.size(); ++i)
    if (values[i].defined()) logs_.histogram("activations/" + graph->nodes[i].name, step, values[i]);
  model_.show(inputs, [&](const std::string& name, const Tensor& shown) { logs_.histogram(name, step, shown); });
}

void TrainingLog::finish(const History& history) {
  if (logs_.empty()) return;
  std::string line = sinter::text(history.epochs.size(), history.epochs.size() == 1 ? " epoch" : " epochs");
  if (history.stopped) line += ", stopped";
  if (history.stopped_early) line += ", ended early";
  if (history.best_epoch >= 0) line += sinter::text(", the best is ", history.best_epoch + 1);
  logs_.text("run", last_step_, line);
  logs_.flush();
}

}  // namespace sinter::nn
