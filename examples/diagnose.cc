// A model that quantisation ruins: where it happens, why, and what helps. The network is made hostile on purpose, its
// channels rescaled over three orders of magnitude (hostile.h): in float it is the same function.

#include "common.h"
#include "hostile.h"

using namespace sinter;

namespace {

quant::PreparedModel prepared(const examples::Bench& bench, const nn::Module& net, const char* observer) {
  return quant::prepare_qat(
      net, bench.example,
      {.qconfig = quant::get_default_qconfig({.activation_observer = observer}), .march = quant::March::nash});
}

// The float network beside the integers of every node, with the likely causes of what is lost.
void diagnose(const examples::Bench& bench, const quant::PreparedModel& model, const std::string& page) {
  const auto report = quant::compare(*quant::float_stage(model), *quant::quantised_stage(model), bench.test,
                                     {.batches = bench.options.limit > 0 ? 1 : 8});
  const auto findings = quant::diagnose(report, {.unfused = quant::unfused_patterns(model.graph())});
  std::printf("\n%s", to_string(findings).c_str());
  quant::write_html(report, page, findings);
  std::printf("every node, with histograms: %s\n\n", page.c_str());
}

void example(const examples::Bench& bench) {
  nn::CifarResNet net = bench.net;
  examples::make_hostile(net, bench.example);
  examples::print("float, hostile", nn::evaluate(net, bench.test));

  auto plain = prepared(bench, net, "percentile");
  examples::calibrate(plain, bench);
  examples::print("calibrated", nn::evaluate(plain, bench.test));
  diagnose(bench, plain, bench.options.output + "/plain.html");

  // The remedy that it names first: channels of neighbouring layers get the same ranges, before calibration.
  auto equalized = prepared(bench, net, "percentile");
  std::printf("%s\n", to_string(quant::equalize(equalized)).c_str());
  examples::calibrate(equalized, bench);
  examples::print("equalised, calibrated", nn::evaluate(equalized, bench.test));
  diagnose(bench, equalized, bench.options.output + "/equalized.html");

  // And from there, training.
  auto trained = prepared(bench, net, "min_max");
  quant::equalize(trained);
  examples::calibrate(trained, bench);
  examples::train_quantised(trained, bench, 0.001);
  examples::print("equalised, QAT", nn::evaluate(trained, bench.test));
}

}  // namespace

int main(int argc, char** argv) {
  return examples::run(argc, argv, "Finds out why a network loses its accuracy in int8, and repairs it.", example);
}
