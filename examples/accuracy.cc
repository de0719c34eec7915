// Every accuracy of the README's table, on Fashion-MNIST: `examples/accuracy`.
//
// Results go to results.json in the output directory as they come; a run that was stopped goes on where it was, with
// the float networks and whatever else is there already.

#include <sinter/sinter.h>

#include <CLI/CLI.hpp>
#include <cmath>
#include <cstdio>
#include <filesystem>
#include <functional>
#include <map>
#include <nlohmann/json.hpp>

#include "common.h"
#include "hostile.h"

using namespace sinter;

namespace {

struct Options {
  std::vector<int64_t> seeds{0, 1, 2};
  int64_t epochs = 5, qat_epochs = 1, low_bit_epochs = 2, mobilenet_epochs = 2, limit = 0;
  std::string output = "accuracy.out", filter{};
};

using Json = nlohmann::ordered_json;
using quant::FakeQuantState;

class Results {
 public:
  // Those of other options are not to be mixed with these.
  Results(std::string path, const std::string& options) : path_(std::move(path)) {
    if (std::filesystem::exists(path_)) {
      const auto bytes = read_file(path_);
      const auto* words = reinterpret_cast<const char*>(bytes.data());
      json_ = Json::parse(words, words + bytes.size(), nullptr, false);
      check(json_.is_object(), path_, ": is no table of results");
    }
    const std::string there = json_.value("options", options);
    check(there == options, path_, ": it is of ", there, ", expected ", options, "; give another --output");
    json_["options"] = options;
  }
  bool has(const std::string& row, int64_t seed) const {
    return json_.contains(row) && json_[row].contains(std::to_string(seed));
  }
  void set(const std::string& row, int64_t seed, double accuracy) {
    json_[row][std::to_string(seed)] = accuracy;
    const std::string bytes = json_.dump(2) + "\n";
    write_file(path_, std::as_bytes(std::span(bytes)));
    std::fprintf(stderr, "%s, seed %lld: %.2f\n", row.c_str(), static_cast<long long>(seed), accuracy);
  }
  std::vector<double> of(const std::string& row) const {
    std::vector<double> all;
    if (json_.contains(row))
      for (const auto& entry : json_[row]) all.push_back(entry.is_null() ? NAN : entry.get<double>());
    return all;
  }

 private:
  std::string path_;
  Json json_ = Json::object();
};

// PACT's, where there are any.
bool is_alpha(const NamedParameter& parameter) { return parameter.name.ends_with(".alpha"); }

nn::FitOptions training(int64_t epochs, double lr, int64_t seed) {
  return {.epochs = epochs,
          .optimizer = optim::SGD{{.lr = lr,
                                   .momentum = 0.9,
                                   .nesterov = true,
                                   .weight_decay = 5e-4,
                                   .rules = {{.match = optim::is_vector, .weight_decay = 0},
                                             {.match = is_alpha, .weight_decay = 5e-4}}}},
          .schedule = optim::warm_up({.epochs = 0.5}, optim::cosine()),
          .augment = {data::pad_crop(2), data::horizontal_flip()},
          .seed = static_cast<uint64_t>(seed)};
}

struct Data {
  data::ImageDataset train, test;
  Tensor example;
};

void calibrate(quant::PreparedModel& model, const Data& d, int64_t seed) {
  quant::set_fake_quantize(model, FakeQuantState::calibration);
  const NoGrad no_grad;
  for (const auto& batch : data::DataLoader(d.train, {.seed = static_cast<uint64_t>(seed), .batches = 100}))
    model(batch.images);
  quant::set_fake_quantize(model, FakeQuantState::validation);
}

double accuracy(const quant::PreparedModel& model, const Data& d) { return nn::evaluate(model, d.test).accuracy; }

// NaN where training diverges.
double trained_accuracy(quant::PreparedModel& model, const Data& d, const nn::FitOptions& fit) {
  quant::set_fake_quantize(model, FakeQuantState::qat);
  try {
    nn::fit(model, d.train, fit);
    quant::set_fake_quantize(model, FakeQuantState::validation);
    return accuracy(model, d);
  } catch (const Error& error) {
    std::fprintf(stderr, "%s\n", error.what());
    return NAN;
  }
}

quant::PreparedModel calibrated(const nn::Module& net, const Data& d, int64_t seed,
                                const quant::QConfigOptions& config = {.activation_observer = "percentile"}) {
  auto model =
      quant::prepare_qat(net, d.example, {.qconfig = quant::get_default_qconfig(config), .march = quant::March::nash});
  calibrate(model, d, seed);
  return model;
}

// QAT from a calibration by percentile, as the README recommends.
double qat(const nn::Module& net, const Data& d, int64_t seed, const quant::PrepareOptions& prepare, int64_t epochs,
           double lr, const quant::PreparedModel* from) {
  auto model = quant::prepare_qat(net, d.example, prepare);
  if (from != nullptr) quant::load_observer_params(*from, model);
  return trained_accuracy(model, d, training(epochs, lr, seed));
}

quant::QConfig by_name(const std::string& fake_quant, const std::string& type) {
  return quant::get_default_qconfig({.activation_fake_quant = fake_quant,
                                     .weight_fake_quant = fake_quant,
                                     .activation_qkwargs = {{"dtype", type}},
                                     .weight_qkwargs = {{"dtype", type}}});
}

// Inner layers of few bits; the input, the first and the last layer of eight, whose scales stay observed: learned ones
// collapse at the learning rates that few bits need. Batch normalisation is trained: folded, it diverges at them.
quant::PrepareOptions few_bits(const std::string& fake_quant, const std::string& type) {
  const quant::QConfig eight = quant::get_default_qconfig();
  return {.qconfig = by_name(fake_quant, type),
          .by_path = {{"input", eight}, {"stem.weight", eight}, {"mean", eight}, {"head", eight}},
          .batch_norm = "with_bn",
          .march = quant::March::nash};
}

class Table {
 public:
  explicit Table(const Options& options)
      : options_(options),
        results_(options.output + "/results.json",
                 text(options.epochs, " epochs, ", options.qat_epochs, " of QAT, ", options.low_bit_epochs,
                      " of few bits, ", options.mobilenet_epochs, " of MobileNetV2, limit ", options.limit)),
        data_(read(options)) {}

  void run() {
    for (const int64_t seed : options_.seeds) {
      resnet(seed);
      hostile(seed);
    }
    for (const int64_t seed : options_.seeds) mobilenet(seed);
  }

  void print() const {
    std::printf("| network and method | mean | spread | seeds |\n|---|---|---|---|\n");
    for (const std::string& row : rows_) {
      const std::vector<double> all = results_.of(row);
      if (all.empty()) continue;
      double sum = 0, low = all[0], high = all[0];
      std::string each;
      for (const double v : all) {
        sum += v;
        low = std::min(low, v);
        high = std::max(high, v);
        char number[16];
        std::snprintf(number, sizeof number, "%s%.2f", each.empty() ? "" : " ", v);
        each += std::isnan(v) ? (each.empty() ? "diverged" : " diverged") : number;
      }
      if (std::isnan(sum))
        std::printf("| %s | | | %s |\n", row.c_str(), each.c_str());
      else
        std::printf("| %s | %.2f | %.2f | %s |\n", row.c_str(), sum / static_cast<double>(all.size()), high - low,
                    each.c_str());
    }
  }

 private:
  static Data read(const Options& o) {
    auto train = data::fashion_mnist("train"), test = data::fashion_mnist("test");
    if (o.limit > 0) {
      train = train.take(o.limit);
      test = test.take(o.limit);
    }
    const Tensor example = test[0].image;
    return {train, test, example};
  }

  // One row of the table for one seed, unless it is there or not asked for.
  void row(const std::string& name, int64_t seed, const std::function<double()>& measure) {
    if (std::find(rows_.begin(), rows_.end(), name) == rows_.end()) rows_.push_back(name);
    if (results_.has(name, seed) || name.find(options_.filter) == std::string::npos) return;
    results_.set(name, seed, measure());
  }

  // Trained once for each seed, and kept.
  template <class Net>
  void trained(Net& net, const std::string& name, int64_t seed, int64_t epochs) {
    const std::string path = text(options_.output, "/", name, ".", seed, ".checkpoint");
    nn::FitOptions fit = training(epochs, 0.1, seed);
    fit.checkpoint = path;
    fit.checkpoint_seconds = 120;
    fit.resume = true;
    nn::fit(net, data_.train, fit);
  }

  void resnet(int64_t seed) {
    manual_seed(static_cast<uint64_t>(seed));
    nn::CifarResNet net = nn::resnet20({.in_channels = 1});
    trained(net, "resnet20", seed, options_.epochs);
    row("ResNet-20, float", seed, [&] { return nn::evaluate(net, data_.test).accuracy; });
    const std::map<std::string, quant::Keywords> required{{"clip", {{"min", -8.0}, {"max", 8.0}}},
                                                          {"fixed_scale", {{"scale", 8.0 / 127.5}}}};
    for (const std::string& observer : quant::observer_names())
      row("ResNet-20, int8 calibrated, " + observer + (required.count(observer) ? " (8)" : ""), seed, [&] {
        const auto found = required.find(observer);
        return accuracy(calibrated(net, data_, seed,
                                   {.activation_observer = observer,
                                    .activation_qkwargs = found == required.end() ? quant::Keywords() : found->second}),
                        data_);
      });
    const auto from = calibrated(net, data_, seed);
    for (const char* fake_quant : {"fake_quant", "lsq", "pact"})
      row(text("ResNet-20, int8 QAT, ", fake_quant), seed, [&] {
        return qat(net, data_, seed,
                   {.qconfig = quant::get_default_qconfig(
                        {.activation_fake_quant = fake_quant, .weight_fake_quant = fake_quant}),
                    .march = quant::March::nash},
                   options_.qat_epochs, 0.001, &from);
      });
    row("ResNet-20, int8 QAT, fake_quant, with_bn", seed, [&] {
      return qat(net, data_, seed, {.batch_norm = "with_bn", .march = quant::March::nash}, options_.qat_epochs, 0.001,
                 &from);
    });
    row("ResNet-20, W4A4 LSQ", seed,
        [&] { return qat(net, data_, seed, few_bits("lsq", "int4"), options_.low_bit_epochs, 0.02, nullptr); });
    row("ResNet-20, W4A4 PACT", seed,
        [&] { return qat(net, data_, seed, few_bits("pact", "int4"), options_.low_bit_epochs, 0.02, nullptr); });
    row("ResNet-20, W2A2 LSQ", seed,
        [&] { return qat(net, data_, seed, few_bits("lsq", "int2"), options_.low_bit_epochs, 0.02, nullptr); });
  }

  // The same network, its channels rescaled over three orders of magnitude.
  void hostile(int64_t seed) {
    manual_seed(static_cast<uint64_t>(seed));
    nn::CifarResNet net = nn::resnet20({.in_channels = 1});
    trained(net, "resnet20", seed, options_.epochs);
    net.eval();
    examples::make_hostile(net, data_.example, {.seed = static_cast<uint64_t>(seed) + 1});
    const auto equalized = [&](const std::string& observer) {
      auto model = quant::prepare_qat(
          net, data_.example,
          {.qconfig = quant::get_default_qconfig({.activation_observer = observer}), .march = quant::March::nash});
      quant::equalize(model);
      calibrate(model, data_, seed);
      return model;
    };
    row("hostile ResNet-20, float", seed, [&] { return nn::evaluate(net, data_.test).accuracy; });
    row("hostile ResNet-20, int8 calibrated", seed, [&] { return accuracy(calibrated(net, data_, seed), data_); });
    row("hostile ResNet-20, int8 equalised", seed, [&] { return accuracy(equalized("percentile"), data_); });
    row("hostile ResNet-20, int8 equalised, QAT", seed, [&] {
      auto model = equalized("min_max");
      return trained_accuracy(model, data_, training(options_.qat_epochs, 0.001, seed));
    });
    row("hostile ResNet-20, int8 QAT alone", seed, [&] {
      const auto from = calibrated(net, data_, seed);
      return qat(net, data_, seed, {.march = quant::March::nash}, options_.qat_epochs, 0.001, &from);
    });
  }

  void mobilenet(int64_t seed) {
    manual_seed(static_cast<uint64_t>(seed));
    nn::MobileNetV2 net = nn::cifar_mobilenet_v2({.in_channels = 1, .classes = 10, .width = 0.5});
    trained(net, "mobilenet_v2", seed, options_.mobilenet_epochs);
    row("MobileNetV2 (width 0.5), float", seed, [&] { return nn::evaluate(net, data_.test).accuracy; });
    const auto from = calibrated(net, data_, seed);
    row("MobileNetV2 (width 0.5), int8 calibrated", seed, [&] { return accuracy(from, data_); });
    row("MobileNetV2 (width 0.5), int8 QAT", seed,
        [&] { return qat(net, data_, seed, {.march = quant::March::nash}, options_.qat_epochs, 0.001, &from); });
  }

  const Options& options_;
  Results results_;
  Data data_;
  std::vector<std::string> rows_;
};

}  // namespace

int main(int argc, char** argv) {
  Options o;
  CLI::App app("Every accuracy of the README's table, on Fashion-MNIST.");
  app.option_defaults()->always_capture_default();
  app.add_option("--seeds", o.seeds, "Seeds, one training each")->check(CLI::NonNegativeNumber);
  app.add_option("--epochs", o.epochs, "Of float training of ResNet-20")->check(CLI::PositiveNumber);
  app.add_option("--qat-epochs", o.qat_epochs, "Of QAT with 8 bits")->check(CLI::PositiveNumber);
  app.add_option("--low-bit-epochs", o.low_bit_epochs, "Of QAT with 4 and 2 bits")->check(CLI::PositiveNumber);
  app.add_option("--mobilenet-epochs", o.mobilenet_epochs, "Of float training of MobileNetV2")
      ->check(CLI::PositiveNumber);
  app.add_option("--limit", o.limit, "Use the first N images of each split only, for trying things; 0: all");
  app.add_option("--filter", o.filter, "Only rows whose name has this text");
  app.add_option("--output", o.output, "Directory of checkpoints and results.json; what is there is not done again");
  CLI11_PARSE(app, argc, argv);
  try {
    std::filesystem::create_directories(o.output);
    Table table(o);
    table.run();
    table.print();
    return sinter::examples::finished();
  } catch (const std::exception& error) {
    std::fprintf(stderr, "error: %s\n", error.what());
    return 1;
  }
}
