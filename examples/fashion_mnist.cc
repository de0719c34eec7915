// The main job: ResNet-20 on Fashion-MNIST from float training to the integer program, with the accuracy of every
// stage.

#include <sinter/sinter.h>

#include <CLI/App.hpp>
#include <CLI/Config.hpp>
#include <CLI/Formatter.hpp>
#include <chrono>
#include <csignal>
#include <cstdio>
#include <filesystem>
#include <nlohmann/json.hpp>

#include "common.h"

using namespace sinter;

namespace {

struct Options {
  int64_t epochs = 10, qat_epochs = 3, batch = 128, limit = 0;
  uint64_t seed = 0;
  std::string march = "bayes", observer = "percentile", fake_quant = "fake_quant";
  int threads = 0;
  std::string data, output = "fashion_mnist.out";
  bool resume = false, profile = false;
};

// Returns whether to go on; else `status` is the exit status.
bool parse(int argc, char** argv, Options& o, int& status) {
  CLI::App app{
      "Trains ResNet-20 on Fashion-MNIST in float, calibrates it, trains it quantisation-aware, validates it,\n"
      "compiles it for a BPU and runs the integer program. Prints the accuracy of every stage on the test images\n"
      "and writes it to results.json in the output directory.\n",
      "fashion_mnist"};
  app.add_option("--epochs", o.epochs, "Epochs of float training")->check(CLI::PositiveNumber)->capture_default_str();
  app.add_option("--qat-epochs", o.qat_epochs, "Epochs of quantisation-aware training")
      ->check(CLI::NonNegativeNumber)
      ->capture_default_str();
  app.add_option("--batch", o.batch, "Images a training step")->check(CLI::Range(2, 4096))->capture_default_str();
  app.add_option("--seed", o.seed, "Seed of weights, order and augmentation")->capture_default_str();
  app.add_option("--march", o.march, "BPU generation: bernoulli, bernoulli2, bayes, bayes_e or nash")
      ->capture_default_str();
  app.add_option("--observer", o.observer, "Observer of the calibration: min_max, percentile, clip_std, mse, kl or mix")
      ->capture_default_str();
  app.add_option("--fake-quant", o.fake_quant, "Fake-quant method of activations and weights: fake_quant")
      ->capture_default_str();
  app.add_option("--threads", o.threads, "Threads; 0: OMP_NUM_THREADS or the number of cores")
      ->check(CLI::Range(0, 1024))
      ->capture_default_str();
  app.add_option("--data", o.data, "Directory of the four IDX files (default: Debian's dataset-fashion-mnist)");
  app.add_option("--output", o.output, "Directory of checkpoints, program and results.json")->capture_default_str();
  app.add_flag("--resume", o.resume, "Go on where a run with the same flags was stopped; ends with the same bits");
  app.add_flag(
      "--profile", o.profile,
      "Print where the time of 20 steps of each training goes, and write it to STAGE.trace.json in the output\n"
      "directory, for chrome://tracing");
  app.add_option("--limit", o.limit, "Use the first N images of each split only, for trying things; 0: all")
      ->check(CLI::NonNegativeNumber)
      ->capture_default_str();
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    status = app.exit(error);
    return false;
  }
  return true;
}

double now() { return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count(); }

// The first Ctrl-C (or SIGTERM, as batch systems send it) asks training to stop and leave its checkpoint, the second
// ends the process.
void on_interrupt(int signal) {
  nn::request_stop();
  std::signal(signal, SIG_DFL);
}

struct Stopped {};

data::ImageDataset read(const Options& o, const char* split) {
  const auto all = data::fashion_mnist(split, {.directory = o.data});
  return o.limit == 0 ? all : all.take(o.limit);
}

double seconds_of(const nn::History& history) {
  double sum = 0;
  for (const auto& epoch : history.epochs) sum += epoch.seconds;
  return sum;
}

struct Training {
  const char* stage;
  int64_t epochs;
  double lr;
  optim::Schedule schedule;
};

// Of steps like those of a training, after a few to warm up. The model is a copy: the training itself is not changed.
template <class Model>
void profile(Model copy, const data::ImageDataset& images, const char* stage, nn::FitOptions fit, const Options& o) {
  fit.epochs = 1;
  fit.checkpoint = {};
  fit.checkpoint_seconds = 0;
  fit.resume = fit.progress = false;
  fit.batches = 5;
  nn::fit(copy, images, fit);
  const Profiler profiler;
  fit.batches = 20;
  nn::fit(copy, images, fit);
  std::printf("\n20 steps of %s training\n%s", stage, to_string(profiler).c_str());
  profiler.write_trace(o.output + "/" + stage + ".trace.json");
}

// Trains in place, from the stage's checkpoint where the run is resumed; returns the seconds of all its epochs.
template <class Model>
double train(Model& model, const data::ImageDataset& images, const Training& t, const Options& o) {
  std::fprintf(stderr, "%s: %lld epochs\n", t.stage, static_cast<long long>(t.epochs));
  const nn::FitOptions options{.epochs = t.epochs,
                               .batch = o.batch,
                               .optimizer = optim::SGD{{.lr = t.lr,
                                                        .momentum = 0.9,
                                                        .nesterov = true,
                                                        .weight_decay = 5e-4,
                                                        .rules = {{.match = optim::is_vector, .weight_decay = 0}}}},
                               .schedule = t.schedule,
                               .augment = {data::pad_crop(2), data::horizontal_flip()},
                               .seed = o.seed,
                               .checkpoint = o.output + "/" + t.stage + ".checkpoint",
                               .checkpoint_seconds = 60,
                               .resume = o.resume};
  if (o.profile) profile(model, images, t.stage, options, o);
  const nn::History history = nn::fit(model, images, options);
  if (history.stopped) throw Stopped{};
  return seconds_of(history);
}

struct Results {
  nn::Evaluation float_model, calibrated, qat, bpu;
  double float_seconds = 0, calibration_seconds = 0, qat_seconds = 0, compile_seconds = 0, compare_seconds = 0;
  bpu::Comparison comparison;
  int64_t float_bytes = 0, program_bytes = 0;
};

void calibrate(quant::PreparedModel& model, const data::ImageDataset& images, const Options& o) {
  quant::set_fake_quantize(model, quant::FakeQuantState::calibration);
  const NoGrad no_grad;
  for (const auto& batch : data::DataLoader(images, {.batch = o.batch, .seed = o.seed, .batches = 100})) {
    if (nn::stop_requested()) throw Stopped{};
    model(batch.images);
  }
  quant::set_fake_quantize(model, quant::FakeQuantState::validation);
}

Results run(const Options& o) {
  const quant::March& march = quant::March::named(o.march);
  const quant::QConfig calibration_config = quant::get_default_qconfig(
      {.activation_fake_quant = o.fake_quant, .weight_fake_quant = o.fake_quant, .activation_observer = o.observer});
  const quant::QConfig qat_config =
      quant::get_default_qconfig({.activation_fake_quant = o.fake_quant, .weight_fake_quant = o.fake_quant});
  const auto images = read(o, "train"), test = read(o, "test");
  const Tensor example = test[0].image;
  Results results;

  manual_seed(o.seed);
  nn::CifarResNet net = nn::resnet20({.in_channels = 1});
  for (const auto& parameter : net.parameters()) results.float_bytes += parameter.value.tensor().bytes();
  results.float_seconds =
      train(net, images, {"float", o.epochs, 0.1, optim::warm_up({.epochs = 0.5}, optim::cosine())}, o);
  results.float_model = nn::evaluate(net, test);

  double began = now();
  auto calibrated = quant::prepare_qat(net, example, {.qconfig = calibration_config, .march = march});
  calibrate(calibrated, images, o);
  results.calibration_seconds = now() - began;
  results.calibrated = nn::evaluate(calibrated, test);

  auto qat = quant::prepare_qat(net, example, {.qconfig = qat_config, .march = march});
  quant::load_observer_params(calibrated, qat);
  quant::set_fake_quantize(qat, quant::FakeQuantState::qat);
  if (o.qat_epochs > 0) results.qat_seconds = train(qat, images, {"QAT", o.qat_epochs, 0.001, optim::cosine()}, o);
  quant::set_fake_quantize(qat, quant::FakeQuantState::validation);
  results.qat = nn::evaluate(qat, test);

  began = now();
  const bpu::Program program = bpu::compile(qat);
  bpu::save(program, o.output + "/program.sinter");
  const bpu::Simulator simulator(bpu::load_program(o.output + "/program.sinter"));
  results.compile_seconds = now() - began;
  results.program_bytes = bpu::parameter_bytes(program);
  results.bpu = nn::evaluate(simulator, test);

  began = now();
  results.comparison = bpu::compare(qat, simulator, test, {.on_batch = [](int64_t) {
                                      if (nn::stop_requested()) throw Stopped{};
                                    }});
  results.compare_seconds = now() - began;
  return results;
}

void print(const Results& r, const Options& o) {
  std::printf("\nResNet-20 on Fashion-MNIST, %lld test images, march %s, seed %llu\n",
              static_cast<long long>(r.float_model.images), o.march.c_str(), static_cast<unsigned long long>(o.seed));
  if (o.limit > 0)
    std::printf("--limit %lld: these are not the accuracies of the whole dataset\n", static_cast<long long>(o.limit));
  std::printf("\n%-12s %10s %12s %12s\n", "stage", "accuracy", "to make", "to evaluate");
  const auto row = [](const char* stage, const nn::Evaluation& e, double seconds) {
    std::printf("%-12s %8.2f %% %10.1f s %10.2f s\n", stage, e.accuracy, seconds, e.seconds);
  };
  row("float", r.float_model, r.float_seconds);
  row("calibrated", r.calibrated, r.calibration_seconds);
  row("QAT", r.qat, r.qat_seconds);
  row("BPU", r.bpu, r.compile_seconds);
  std::printf("\nmodel size: %lld bytes in float, %lld in the program\n", static_cast<long long>(r.float_bytes),
              static_cast<long long>(r.program_bytes));
  std::printf("VALIDATION against simulator: %s\n", to_string(r.comparison).c_str());
}

void write(const Results& r, const Options& o) {
  const nlohmann::ordered_json json{
      {"float_accuracy", r.float_model.accuracy},
      {"calibrated_accuracy", r.calibrated.accuracy},
      {"qat_accuracy", r.qat.accuracy},
      {"bpu_accuracy", r.bpu.accuracy},
      {"compared_integers", r.comparison.compared},
      {"differing_integers", r.comparison.differing},
      {"seconds",
       {{"float", r.float_seconds},
        {"calibration", r.calibration_seconds},
        {"qat", r.qat_seconds},
        {"compile", r.compile_seconds},
        {"compare", r.compare_seconds},
        {"evaluate_float", r.float_model.seconds},
        {"evaluate_calibrated", r.calibrated.seconds},
        {"evaluate_qat", r.qat.seconds},
        {"evaluate_bpu", r.bpu.seconds}}},
      {"float_bytes", r.float_bytes},
      {"program_bytes", r.program_bytes},
      {"epochs", o.epochs},
      {"qat_epochs", o.qat_epochs},
      {"batch", o.batch},
      {"limit", o.limit},
      {"observer", o.observer},
      {"fake_quant", o.fake_quant},
      {"seed", o.seed},
      {"march", o.march},
      {"version", version()},
  };
  const std::string bytes = json.dump(2) + "\n";
  write_file(o.output + "/results.json", std::as_bytes(std::span(bytes)));
}

}  // namespace

int main(int argc, char** argv) {
  Options options;
  int status = 0;
  if (!parse(argc, argv, options, status)) return status;
  try {
    if (options.threads > 0) set_threads(options.threads);
    std::filesystem::create_directories(options.output);
    std::filesystem::remove(options.output + "/results.json");  // of an earlier run
    for (const int signal : {SIGINT, SIGTERM}) std::signal(signal, on_interrupt);
    const Results results = run(options);
    print(results, options);
    write(results, options);
    return results.comparison.differing == 0 ? examples::finished() : 1;
  } catch (const Stopped&) {
    std::fprintf(stderr, "stopped; the same command with --resume goes on from %s\n", options.output.c_str());
    return 130;
  } catch (const std::exception& error) {
    std::fprintf(stderr, "error: %s\n", error.what());
    return 1;
  }
}
