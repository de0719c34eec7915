// Mixed precision without training: which nodes four bits hurt most, which of them have to have eight for the network
// to lose no more than is allowed, and roundings that are learned (AdaRound) for what stays at four.

#include "common.h"

using namespace sinter;

namespace {

quant::QConfig bits(const char* dtype) {
  return quant::get_default_qconfig({.activation_observer = "mse",
                                     .weight_observer = "mse",
                                     .activation_qkwargs = {{"dtype", dtype}},
                                     .weight_qkwargs = {{"dtype", dtype}}});
}

void example(const examples::Bench& bench) {
  quant::PrepareOptions options{.qconfig = bits("int4"), .march = quant::March::nash};
  auto low = quant::prepare_qat(bench.net, bench.example, options);
  examples::calibrate(low, bench);
  examples::print("all of 4 bits", nn::evaluate(low, bench.test));
  std::printf("\n%s\n", to_string(quant::sensitivity(low, bench.train, {.batches = 2})).c_str());

  const auto mixed = quant::mixed_precision(
      bench.net, bench.example, bench.train,
      {.prepare = options, .high = bits("int8"), .target = quant::Cost::accuracy, .allowed = 0.5, .batches = 8});
  std::printf("%s\n", to_string(mixed).c_str());

  // What was chosen goes into the options of the model that is used.
  options.by_path = mixed.by_path;
  auto model = quant::prepare_qat(bench.net, bench.example, options);
  examples::calibrate(model, bench);
  examples::print("mixed", nn::evaluate(model, bench.test));

  // A short run where only a slice of the images is used.
  const auto rounded =
      quant::adaround(model, bench.train, {.batches = 4, .iterations = bench.options.limit > 0 ? 5 : 500});
  std::printf("\n%s\n", to_string(rounded).c_str());
  examples::print("mixed, learned rounding", nn::evaluate(model, bench.test));

  const bpu::Simulator simulator(bpu::compile(model));
  examples::print("BPU", nn::evaluate(simulator, bench.test));
}

}  // namespace

int main(int argc, char** argv) {
  return examples::run(argc, argv, "Finds the nodes of ResNet-20 that need 8 bits where the others have 4.", example);
}
