// Calibration only, the step after float training: one observer after the other until the accuracy is good enough; and
// what to look at when it is not. Often nothing else is needed for int8.

#include "common.h"

using namespace sinter;

namespace {

constexpr double kGoodEnough = 0.2;  // points below float

void example(const examples::Bench& bench) {
  const auto images = bench.train.take(5000);  // the observer is chosen by these: the test images are not to know of it
  const double wanted = nn::evaluate(bench.net, images).accuracy - kGoodEnough;
  const std::vector<std::pair<std::string, quant::Keywords>> candidates{
      {"min_max", {}}, {"percentile", {}}, {"percentile", {{"percentile", 99.9}}},
      {"mse", {}},     {"kl", {}},         {"mix", {}}};
  std::optional<quant::PreparedModel> best;
  double accuracy = -1;
  for (const auto& [observer, keywords] : candidates) {
    const auto qconfig = quant::get_default_qconfig({.activation_observer = observer, .activation_qkwargs = keywords});
    auto model = quant::prepare_qat(bench.net, bench.example, {.qconfig = qconfig, .march = quant::March::bayes});
    examples::calibrate(model, bench);
    const nn::Evaluation evaluation = nn::evaluate(model, images);
    examples::print((observer + to_string(keywords)).c_str(), evaluation);
    if (evaluation.accuracy > accuracy) {
      best = model;
      accuracy = evaluation.accuracy;
    }
    if (accuracy >= wanted) break;
  }

  examples::print("calibrated, on the test images", nn::evaluate(*best, bench.test));

  // Scales, types, and what is worth a warning, of every tensor.
  std::printf("\n%s\n", quant::describe(*best).c_str());
  if (accuracy < wanted) {
    // Which nodes cost most; then what rounding did to the means of channels is taken back.
    std::printf("%s\n", to_string(quant::sensitivity(*best, bench.train, {.batches = 2})).c_str());
    quant::correct_bias(*best, bench.train);
    examples::print("biases corrected", nn::evaluate(*best, bench.test));
  }
  nn::save(*best, bench.options.output + "/calibrated.model");
}

}  // namespace

int main(int argc, char** argv) {
  return examples::run(argc, argv, "Calibrates ResNet-20 on Fashion-MNIST with several observers.", example);
}
