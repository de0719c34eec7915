// Four bits: quantisation-aware training in which the scales are learned (LSQ, 1902.08153), from a calibration. The
// first and the last layer keep eight bits, as is usual: the input and the stem's weights, the mean and the head.

#include "common.h"

using namespace sinter;

namespace {

quant::QConfig four_bits(const char* fake_quant) {
  return quant::get_default_qconfig({.activation_fake_quant = fake_quant,
                                     .weight_fake_quant = fake_quant,
                                     .activation_observer = "mse",
                                     .activation_qkwargs = {{"dtype", "int4"}},
                                     .weight_qkwargs = {{"dtype", "int4"}}});
}

quant::PrepareOptions options(const char* fake_quant) {
  const quant::QConfig eight = quant::get_default_qconfig();
  return {.qconfig = four_bits(fake_quant),
          .by_path = {{"input", eight}, {"stem.weight", eight}, {"mean", eight}, {"head", eight}},
          .batch_norm = "with_bn",  // the statistics that would be folded are others with so few bits
          .march = quant::March::nash};
}

void example(const examples::Bench& bench) {
  auto calibrated = quant::prepare_qat(bench.net, bench.example, options("fake_quant"));
  examples::calibrate(calibrated, bench);
  examples::print("calibrated, W4A4", nn::evaluate(calibrated, bench.test));

  auto model = quant::prepare_qat(bench.net, bench.example, options("lsq"));
  std::printf("%s\n", to_string(quant::load_observer_params(calibrated, model)).c_str());
  examples::train_quantised(model, bench, 0.02);
  examples::print("LSQ, W4A4", nn::evaluate(model, bench.test));
  std::printf("\n%s\n", quant::describe(model).c_str());

  const bpu::Simulator simulator(bpu::compile(model));
  examples::print("BPU", nn::evaluate(simulator, bench.test));
}

}  // namespace

int main(int argc, char** argv) {
  return examples::run(argc, argv, "Trains ResNet-20 on Fashion-MNIST with weights and activations of 4 bits.",
                       example);
}
