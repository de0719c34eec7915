#pragma once
// What the examples share: flags, data, a network that is trained in float, calibration, a line of output.

#include <sinter/sinter.h>

#include <CLI/CLI.hpp>
#include <cstdio>
#include <filesystem>

namespace sinter::examples {

struct Options {
  int64_t epochs = 10, qat_epochs = 3, limit = 0;
  uint64_t seed = 0;
  std::string output = "examples.out";
};

/// What a program ends with: 1, and a message, where something that it printed did not arrive.
inline int finished() {
  if (std::fflush(stdout) == 0 && std::ferror(stdout) == 0) return 0;
  std::fprintf(stderr, "error: standard output cannot be written: what was printed is not all there\n");
  return 1;
}

/// Fashion-MNIST and a ResNet-20; whether that is trained before the example runs.
enum class Trained { resnet20, nothing };
struct Bench {
  Options options;
  data::ImageDataset train, test;
  Tensor example;
  nn::CifarResNet net;
};

inline void print(const char* stage, const nn::Evaluation& e) {
  std::printf("%-34s %6.2f %%  loss %.4f\n", stage, e.accuracy, e.loss);
  std::fflush(stdout);
}

inline nn::FitOptions training(const Options& options, int64_t epochs, double lr) {
  return {.epochs = epochs,
          .optimizer = optim::SGD{{.lr = lr,
                                   .momentum = 0.9,
                                   .nesterov = true,
                                   .weight_decay = 5e-4,
                                   .rules = {{.match = optim::is_vector, .weight_decay = 0}}}},
          .schedule = optim::warm_up({.epochs = 0.5}, optim::cosine()),
          .augment = {data::pad_crop(2), data::horizontal_flip()},
          .seed = options.seed};
}

/// Trained once: the examples share its checkpoint in the output directory.
inline void train_float(Bench& bench) {
  const Options& o = bench.options;
  auto fit = training(o, o.epochs, 0.1);
  fit.checkpoint = text(o.output, "/resnet20.", o.seed, ".", o.epochs, ".", o.limit, ".checkpoint");
  fit.resume = true;
  nn::fit(bench.net, bench.train, fit);
  print("float", nn::evaluate(bench.net, bench.test));
}

/// Shows a model some of the training images; what it observes becomes its scales.
inline void calibrate(quant::PreparedModel& model, const Bench& bench, int64_t batches = 100) {
  quant::set_fake_quantize(model, quant::FakeQuantState::calibration);
  const NoGrad no_grad;
  for (const auto& batch : data::DataLoader(bench.train, {.seed = bench.options.seed + 1, .batches = batches}))
    model(batch.images);
  quant::set_fake_quantize(model, quant::FakeQuantState::validation);
}

/// Quantisation-aware training of a model that has its scales.
inline void train_quantised(quant::PreparedModel& model, const Bench& bench, double lr) {
  quant::set_fake_quantize(model, quant::FakeQuantState::qat);
  nn::fit(model, bench.train, training(bench.options, bench.options.qat_epochs, lr));
  quant::set_fake_quantize(model, quant::FakeQuantState::validation);
}

/// Reads the flags, makes the bench, with its network trained in float where it is wanted, and runs the example.
template <class Example>
int run(int argc, char** argv, const char* about, const Example& example, Trained wanted = Trained::resnet20) {
  Options o;
  CLI::App app(about);
  app.option_defaults()->always_capture_default();
  app.add_option("--epochs", o.epochs, "Epochs of float training")->check(CLI::PositiveNumber);
  app.add_option("--qat-epochs", o.qat_epochs, "Epochs of quantisation-aware training")->check(CLI::PositiveNumber);
  app.add_option("--limit", o.limit, "Use the first N images of each split only, for trying things; 0: all");
  app.add_option("--seed", o.seed, "Seed of weights and order");
  app.add_option("--output", o.output, "Directory of what is written");
  CLI11_PARSE(app, argc, argv);
  try {
    std::filesystem::create_directories(o.output);
    const auto read = [&](const char* split) {
      const auto all = data::fashion_mnist(split);
      return o.limit > 0 ? all.take(o.limit) : all;
    };
    manual_seed(o.seed);
    Bench bench{o, read("train"), read("test"), {}, nn::resnet20({.in_channels = 1})};
    bench.example = bench.test[0].image;
    if (wanted == Trained::resnet20) train_float(bench);
    example(bench);
    return finished();
  } catch (const std::exception& error) {
    std::fprintf(stderr, "error: %s\n", error.what());
    return 1;
  }
}

}  // namespace sinter::examples
