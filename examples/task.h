#pragma once
// What segment and detect share: flags, and the whole flow with a table of every stage.

#include <CLI/CLI.hpp>
#include <cstdio>
#include <filesystem>
#include <string>
#include <vector>

#include "common.h"
#include "scenes.h"

namespace sinter::examples {

struct TaskOptions {
  int64_t epochs = 4, batch = 32, qat_scenes = 15000, limit = 0;
  uint64_t seed = 0;
  std::string march = "bayes", output;
};

/// A network's task: what is made small, what says how good it is, and how the integer program's results are read.
struct Task {
  std::string name, number;  ///< of the metric: "miou", "ap50"
  nn::BatchLoss loss;
  nn::Metrics metrics;
  std::function<nn::Metrics(const bpu::Simulator&)> of_program{};  ///< none: `metrics`
  double lr, qat_lr;
  double clip_norm = 0;
};

inline nn::FitOptions training(const Task& task, const TaskOptions& o, const char* stage, int64_t epochs, double lr) {
  const std::string file = text(o.output, "/", stage, ".", o.seed, ".", epochs, ".", o.limit);
  return {.epochs = epochs,
          .batch = o.batch,
          .optimizer = optim::SGD{{.lr = lr,
                                   .momentum = 0.9,
                                   .nesterov = true,
                                   .weight_decay = 5e-4,
                                   .rules = {{.match = optim::is_vector, .weight_decay = 0}}}},
          .schedule = optim::warm_up({.epochs = 0.1}, optim::cosine()),
          .loss = task.loss,
          .clip_norm = task.clip_norm,
          .seed = o.seed,
          .drop_last = true,
          .checkpoint = file + ".checkpoint",
          .checkpoint_seconds = 60,
          .resume = true,
          .log = {nn::HtmlReport(file + ".html", {.title = text(task.name, ", ", stage)})}};
}

/// Float training, calibration, QAT, VALIDATION and the integer program of a network that sees scenes, with a table.
/// Returns the exit status.
inline int run_task(nn::Module& net, const Task& task, const TaskOptions& o) {
  std::filesystem::create_directories(o.output);
  const auto read = [&](const char* split, int64_t all) {
    return Scenes(split, {.seed = o.seed}).take(o.limit > 0 ? std::min(o.limit, all) : all);
  };
  const Scenes train = read("train", 60000), test = read("test", 10000);
  const Tensor example = test[0].image;
  std::printf("%s, march %s: %lld scenes to train with, %lld to test\n", task.name.c_str(), o.march.c_str(),
              static_cast<long long>(train.size()), static_cast<long long>(test.size()));
  double first = 0, qat_value = 0;
  const auto measure = [&](const char* stage, const auto& model, const nn::Metrics& metrics) {
    const nn::Evaluation e = nn::evaluate(model, test, {.batch = 64, .metrics = metrics});
    const double value = e[task.number];
    std::printf("%-12s %s %.4f  (%.1f s)\n", stage, task.number.c_str(), value, e.seconds);
    std::fflush(stdout);
    return value;
  };

  nn::fit(net, train, training(task, o, "float", o.epochs, task.lr));
  first = measure("float", net, task.metrics);

  const quant::March& march = quant::March::named(o.march);
  auto calibrated = quant::prepare_qat(
      net, example, {.qconfig = quant::get_default_qconfig({.activation_observer = "percentile"}), .march = march});
  quant::set_fake_quantize(calibrated, quant::FakeQuantState::calibration);
  {
    const NoGrad no_grad;
    for (const auto& batch : data::DataLoader(train, {.batch = o.batch, .seed = o.seed + 1, .batches = 50}))
      calibrated({batch.images});
  }
  quant::set_fake_quantize(calibrated, quant::FakeQuantState::validation);
  measure("calibrated", calibrated, task.metrics);

  auto qat = quant::prepare_qat(net, example, {.march = march});
  quant::load_observer_params(calibrated, qat);
  quant::set_fake_quantize(qat, quant::FakeQuantState::qat);
  nn::fit(qat, train.take(o.qat_scenes), training(task, o, "QAT", 1, task.qat_lr));
  quant::set_fake_quantize(qat, quant::FakeQuantState::validation);
  qat_value = measure("QAT", qat, task.metrics);

  bpu::save(bpu::compile(qat), o.output + "/program.sinter");
  const bpu::Simulator simulator(bpu::load_program(o.output + "/program.sinter"));
  const double bpu_value = measure("BPU", simulator, task.of_program ? task.of_program(simulator) : task.metrics);
  const bpu::Comparison comparison = bpu::compare(qat, simulator, test, {.batch = 64});
  std::printf("QAT less float: %+.4f\nVALIDATION against simulator: %s\n", qat_value - first,
              to_string(comparison).c_str());
  return comparison.differing == 0 && bpu_value == qat_value ? finished() : 1;
}

/// Reads the flags and runs it.
template <class MakeTask>
int task_main(int argc, char** argv, const char* about, TaskOptions o, const MakeTask& run) {
  CLI::App app(about);
  app.option_defaults()->always_capture_default();
  app.add_option("--epochs", o.epochs, "Epochs of float training")->check(CLI::PositiveNumber);
  app.add_option("--batch", o.batch, "Scenes a training step")->check(CLI::Range(2, 4096));
  app.add_option("--qat-scenes", o.qat_scenes, "Scenes of quantisation-aware training")->check(CLI::PositiveNumber);
  app.add_option("--limit", o.limit, "Use the first N scenes of each split only, for trying things; 0: all");
  app.add_option("--seed", o.seed, "Seed of scenes, weights and order");
  app.add_option("--march", o.march, "BPU generation");
  app.add_option("--output", o.output,
                 "Directory of checkpoints, reports and the program; a stopped run goes on there");
  CLI11_PARSE(app, argc, argv);
  try {
    manual_seed(o.seed);
    return run(o);
  } catch (const std::exception& error) {
    std::fprintf(stderr, "error: %s\n", error.what());
    return 1;
  }
}

}  // namespace sinter::examples
