#include "evaluate.h"

#include <chrono>
#include <cmath>

#include "../core/ops/cross_entropy.h"
#include "../data/data_loader.h"
#include "forward.h"
#include "metrics.h"
#include "sums.h"

namespace sinter::nn {

namespace {

double now() { return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count(); }

// Logits that a loss can be made of where none was given, beside metrics of anything.
bool are_logits(const Outputs& outputs, const data::Batch& batch) {
  return outputs.size() == 1 && outputs[0].rank() == 2 && outputs[0].size(1) > 1 &&
         outputs[0].dtype() == DType::float32 && batch.labels.defined() &&
         batch.labels.spec() == Spec{DType::int64, {outputs[0].size(0)}};
}

}  // namespace

BatchLoss::BatchLoss(Loss loss, std::string target) {
  check(loss != nullptr, "loss: the function is empty");
  function_ = [loss = std::move(loss), target = std::move(target)](const Outputs& outputs, const data::Batch& batch) {
    check(outputs.size() == 1, "loss: the network has ", outputs.size(), " outputs, but a loss of one was given; ",
          "give a function of (outputs, batch) instead");
    return loss(outputs[0], detail::target_of(batch, target));
  };
}

Tensor BatchLoss::operator()(const Outputs& outputs, const data::Batch& batch) const {
  Tensor loss = function_(outputs, batch);
  check(loss.defined() && loss.dtype() == DType::float32 && loss.elements() == 1, "loss: the function gave ",
        loss.spec(), ", expected one float32 number, such as the mean over the batch");
  return loss;
}

Tensor loss_of(const BatchLoss& loss, const Outputs& outputs, const data::Batch& batch, double label_smoothing) {
  if (loss) return loss(outputs, batch);
  check(outputs.size() == 1, "it has ", outputs.size(), " outputs, but fit and evaluate expect one, the logits ",
        "[N,classes], where no `.loss` says what is to be made of them");
  return cross_entropy(outputs[0], batch.labels, {.label_smoothing = label_smoothing});
}

void add(Sums& sums, double mean_loss, bool own_loss, const Outputs& outputs, const data::Batch& batch) {
  const int64_t count = data::count_of(batch);
  sums.loss += mean_loss * static_cast<double>(count);
  sums.classifies = !own_loss;
  if (sums.classifies) sums.correct += count_correct(outputs[0], batch.labels);
  sums.images += count;
}

double Evaluation::operator[](const std::string& name) const {
  if (const auto found = metrics.find(name); found != metrics.end()) return found->second;
  if (name == "loss") return loss;
  if (name == "accuracy") return accuracy;
  std::vector<std::string> names{"loss", "accuracy"};
  for (const auto& metric : metrics) names.push_back(metric.first);
  fail("evaluation: there is no number '", name, "', there are ", joined(names));
}

bool Monitor::larger() const {
  const auto named = [&](const char* part) { return number.find(part) != std::string::npos; };
  return larger_is_better.value_or(!named("loss") && !named("error"));
}

Evaluation evaluate_with(const detail::AnyForward& model, const data::Dataset& dataset, const EvaluateOptions& options,
                         Metrics& metrics) {
  const NoGrad no_grad;
  const ModeOverride module_mode(false);
  const TrainingMode graph_mode(false);
  const double began = now();
  data::DataLoader loader(dataset, {.batch = options.batch,
                                    .shuffle = false,
                                    .batches = options.batches,
                                    .workers = options.workers,
                                    .collate = options.collate});
  for (AnyMetric& metric : metrics) metric->reset();
  Sums sums;
  bool measured_loss = true;
  for (const auto& batch : loader) {
    const Outputs outputs = model(options.inputs(batch));
    if (measured_loss && !options.loss && !metrics.empty()) measured_loss = are_logits(outputs, batch);
    if (measured_loss)
      add(sums, static_cast<double>(loss_of(options.loss, outputs, batch).item()), static_cast<bool>(options.loss),
          outputs, batch);
    else
      sums.images += data::count_of(batch);
    for (AnyMetric& metric : metrics) metric->add(outputs, batch);
  }
  Measured found = measured(metrics);
  const double none = std::nan("");
  return {.accuracy = measured_loss ? sums.accuracy() : none,
          .loss = measured_loss ? sums.mean_loss() : none,
          .images = sums.images,
          .seconds = now() - began,
          .metrics = std::move(found.numbers),
          .tables = std::move(found.tables),
          .pictures = std::move(found.pictures)};
}

Evaluation detail::evaluate(const AnyForward& model, const data::Dataset& dataset, const EvaluateOptions& options) {
  Metrics metrics = options.metrics;
  return evaluate_with(model, dataset, options, metrics);
}

Evaluation detail::evaluate(const Module& model, const data::Dataset& dataset, const EvaluateOptions& options) {
  Forward forward(model, std::min(options.batch, dataset.size()), false);
  return evaluate([&](std::span<const Tensor> x) { return forward(x); }, dataset, options);
}

}  // namespace sinter::nn
