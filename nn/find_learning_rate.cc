#include "find_learning_rate.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "../core/format.h"
#include "../core/table.h"
#include "checkpoint.h"

namespace sinter::nn {

namespace {

// The model as it was, when its scope ends.
class Restored {
 public:
  explicit Restored(Module& model) : model_(model), random_(default_random()) {
    Archive shared(detail::kCheckpoint);
    detail::save_model(model, shared);
    before_.emplace(Archive::decode(shared.encode(), detail::kCheckpoint));  // values of its own
  }
  ~Restored() {
    detail::load_model(model_, *before_);
    default_random() = random_;
  }
  Restored(const Restored&) = delete;
  Restored& operator=(const Restored&) = delete;

 private:
  Module& model_;
  const Random random_;
  std::optional<Archive> before_;
};

double steepest(const LearningRates& found) {
  const auto smallest = std::min_element(found.loss.begin(), found.loss.end()) - found.loss.begin();
  // From one step to the next it is noise that falls fastest, and most of all while the mean is one of a few.
  const std::ptrdiff_t window = std::max<std::ptrdiff_t>(1, std::ssize(found.loss) / 10);
  double slope = 0, at = std::numeric_limits<double>::quiet_NaN();
  for (std::ptrdiff_t i = 2 * window; i <= smallest; ++i) {
    const auto k = static_cast<size_t>(i), before = static_cast<size_t>(i - window);
    const double here = (found.loss[k] - found.loss[before]) / std::log(found.lr[k] / found.lr[before]);
    if (here >= slope) continue;
    slope = here;
    at = found.lr[k];
  }
  return at;
}

}  // namespace

std::string to_string(const LearningRates& found) {
  std::vector<std::vector<std::string>> rows{{"lr", "loss"}};
  for (size_t i = 0; i < found.lr.size(); ++i)
    rows.push_back({with_digits(found.lr[i], 3), with_digits(found.loss[i], 4)});
  return text("suggestion: ", with_digits(found.suggestion, 2), "\n") + sinter::detail::table(rows, 0);
}

LearningRates find_learning_rate(Module& model, const data::Dataset& dataset, const FitOptions& how,
                                 const FindLearningRateOptions& options) {
  check(options.from > 0 && options.to > options.from && options.steps >= 2, "find_learning_rate: from ", options.from,
        " to ", options.to, " in ", options.steps, " steps, expected 0 < from < to and at least 2 steps");
  check(options.smoothing > 0 && options.smoothing <= 1 && options.diverged > 1,
        "find_learning_rate: expected 0 < smoothing <= 1 and diverged > 1");
  const Restored restored(model);
  LearningRates found;
  const double factor = std::pow(options.to / options.from, 1 / static_cast<double>(options.steps - 1));
  double mean = 0, weight = 0, smallest = std::numeric_limits<double>::infinity();
  bool ended = false;
  FitOptions run = how;
  run.schedule = optim::Schedule("range test", [&](double, const optim::Position& position) {
    return options.from * std::pow(factor, static_cast<double>(position.step));
  });
  run.epochs = options.steps;  // at least a step each
  run.validation = nullptr;
  run.metrics.clear();
  run.checkpoint.clear();
  run.checkpoint_steps = 0;
  run.checkpoint_seconds = 0;
  run.resume = false;
  run.monitor = {};
  run.best.clear();
  run.patience = 0;
  run.log = {};
  run.progress = false;
  run.on_epoch = nullptr;
  run.on_step = [&](const StepReport& step) {
    // Without the bias to 0 that a running mean starts with, as in Adam.
    mean += options.smoothing * (step.loss - mean);
    weight += options.smoothing * (1 - weight);
    found.lr.push_back(step.lr);
    found.loss.push_back(mean / weight);
    smallest = std::min(smallest, found.loss.back());
    ended = std::ssize(found.lr) >= options.steps || (found.loss.back() > options.diverged * smallest && smallest > 0);
  };
  run.stop = [&] { return ended || (how.stop && how.stop()); };
  try {
    fit(model, dataset, run);
  } catch (const Diverged&) {
    if (found.lr.empty()) throw;
  }
  found.suggestion = found.lr.empty() ? std::numeric_limits<double>::quiet_NaN() : steepest(found);
  return found;
}

}  // namespace sinter::nn
