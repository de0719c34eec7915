// One network on each march: ResNet-20 and MobileNetV2 on Fashion-MNIST, trained once in float, then calibrated,
// trained quantised, compiled and run for bernoulli, bernoulli2, bayes, bayes_e and nash: `examples/marches`.
//
// Whatever was trained is kept in the output directory: a run that was stopped goes on where it was.

#include "common.h"

using namespace sinter;

namespace {

struct Options : examples::Options {
  std::vector<std::string> marches{"bernoulli", "bernoulli2", "bayes", "bayes_e", "nash"};
  int64_t witness = 200;
};

struct Row {
  std::string march;
  double calibrated = 0, qat = 0, simulated = 0;
  bpu::Comparison simulator{}, witness{};
};

nn::FitOptions training(const Options& o, const std::string& name, int64_t epochs, double lr) {
  nn::FitOptions fit = examples::training(o, epochs, lr);
  fit.checkpoint = text(o.output, "/", name, ".", o.seed, ".", epochs, ".", o.limit, ".checkpoint");
  fit.checkpoint_seconds = 120;
  fit.resume = true;
  return fit;
}

Row run(const nn::Module& net, const std::string& name, const std::string& march, const data::ImageDataset& train,
        const data::ImageDataset& test, const Options& o) {
  const auto prepared = [&](const std::string& observer) {
    return quant::prepare_qat(net, test[0].image,
                              {.qconfig = quant::get_default_qconfig({.activation_observer = observer}),
                               .march = quant::March::named(march)});
  };
  Row row{.march = march};
  auto calibrated = prepared("percentile");
  quant::set_fake_quantize(calibrated, quant::FakeQuantState::calibration);
  {
    const NoGrad no_grad;
    for (const auto& batch : data::DataLoader(train, {.seed = o.seed + 1, .batches = 100})) calibrated(batch.images);
  }
  quant::set_fake_quantize(calibrated, quant::FakeQuantState::validation);
  row.calibrated = nn::evaluate(calibrated, test).accuracy;

  auto qat = prepared("min_max");
  quant::load_observer_params(calibrated, qat);
  quant::set_fake_quantize(qat, quant::FakeQuantState::qat);
  nn::fit(qat, train, training(o, name + "." + march, o.qat_epochs, 0.001));
  quant::set_fake_quantize(qat, quant::FakeQuantState::validation);
  row.qat = nn::evaluate(qat, test).accuracy;

  const bpu::Program program = bpu::compile(qat);
  const bpu::Simulator simulator(program);
  row.simulated = nn::evaluate(simulator, test).accuracy;
  row.simulator = bpu::compare(qat, simulator, test);
  row.witness = bpu::compare(bpu::Reference(program), simulator, test.take(o.witness), {.batch = 50});
  return row;
}

// Returns whether no integer differs.
bool table(const nn::Module& net, const std::string& title, const std::string& name, const data::ImageDataset& train,
           const data::ImageDataset& test, const Options& o) {
  const double accuracy = nn::evaluate(net, test).accuracy;
  std::printf("\n%s, float: %.2f %%\n\n", title.c_str(), accuracy);
  std::printf("| march | calibrated | QAT | BPU | integers compared | differing | beside the witness | differing |\n");
  std::printf("|---|---|---|---|---|---|---|---|\n");
  bool equal = true;
  for (const std::string& march : o.marches) {
    const Row r = run(net, name, march, train, test, o);
    std::printf("| %s | %.2f | %.2f | %.2f | %lld | %lld | %lld | %lld |\n", march.c_str(), r.calibrated, r.qat,
                r.simulated, static_cast<long long>(r.simulator.compared),
                static_cast<long long>(r.simulator.differing), static_cast<long long>(r.witness.compared),
                static_cast<long long>(r.witness.differing));
    std::fflush(stdout);
    for (const bpu::Comparison& c : {r.simulator, r.witness})
      if (c.differing > 0) {
        std::fprintf(stderr, "%s on %s: %s\n", title.c_str(), march.c_str(), to_string(c).c_str());
        equal = false;
      }
  }
  return equal;
}

}  // namespace

int main(int argc, char** argv) {
  Options o;
  o.epochs = 5;
  o.qat_epochs = 1;
  o.output = "marches.out";
  int64_t mobilenet_epochs = 2;
  CLI::App app("ResNet-20 and MobileNetV2 on Fashion-MNIST, quantised for every march.");
  app.option_defaults()->always_capture_default();
  app.add_option("--epochs", o.epochs, "Of float training of ResNet-20")->check(CLI::PositiveNumber);
  app.add_option("--mobilenet-epochs", mobilenet_epochs, "Of float training of MobileNetV2")
      ->check(CLI::PositiveNumber);
  app.add_option("--qat-epochs", o.qat_epochs, "Of QAT for each march")->check(CLI::PositiveNumber);
  app.add_option("--marches", o.marches, "Which marches")->delimiter(',');
  app.add_option("--witness", o.witness, "Images that the witness runs, too")->check(CLI::PositiveNumber);
  app.add_option("--limit", o.limit, "Use the first N images of each split only, for trying things; 0: all");
  app.add_option("--seed", o.seed, "Seed of weights and order");
  app.add_option("--output", o.output, "Directory of checkpoints; what is there is not trained again");
  CLI11_PARSE(app, argc, argv);
  try {
    std::filesystem::create_directories(o.output);
    const auto read = [&](const char* split) {
      const auto all = data::fashion_mnist(split);
      return o.limit > 0 ? all.take(o.limit) : all;
    };
    const auto train = read("train"), test = read("test");
    manual_seed(o.seed);
    nn::CifarResNet resnet = nn::resnet20({.in_channels = 1});
    nn::fit(resnet, train, training(o, "resnet20", o.epochs, 0.1));
    bool equal = table(resnet, "ResNet-20", "resnet20", train, test, o);
    nn::MobileNetV2 mobilenet = nn::cifar_mobilenet_v2({.in_channels = 1, .classes = 10, .width = 0.5});
    nn::fit(mobilenet, train, training(o, "mobilenet_v2", mobilenet_epochs, 0.1));
    equal = table(mobilenet, "MobileNetV2 of width 0.5", "mobilenet_v2", train, test, o) && equal;
    return equal ? examples::finished() : 1;
  } catch (const std::exception& error) {
    std::fprintf(stderr, "error: %s\n", error.what());
    return 1;
  }
}
