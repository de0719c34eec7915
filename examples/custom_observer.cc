// An observer and a fake-quant of one's own, named in a qconfig like the built-in ones.

#include "common.h"

using namespace sinter;

namespace {

// For values with the density of Laplace the error of rounding and clipping together is least where they are clipped at
// so many times their mean distance from the mean (Banner et al., 1810.05723, "ACIQ").
struct Aciq final : quant::Observer {
  double factor = 9.89;  // for 8 bits; 5.03 for 4

  quant::Range observe(const quant::Samples& batch) override {
    const quant::Moments moments = batch.moments();
    const double mean = static_cast<double>(moments.mean);
    const double sum = batch.reduce(
        0.0,
        [mean](double& part, const float* x, int64_t count) {
          for (int64_t i = 0; i < count; ++i) part += std::abs(static_cast<double>(x[i]) - mean);
        },
        [](double& into, double from) { into += from; });
    const auto reach = static_cast<float>(factor * sum / static_cast<double>(batch.count()));
    return {std::max(moments.min, moments.mean - reach), std::min(moments.max, moments.mean + reach)};
  }
  void validate() const override { check(factor > 0, "aciq: factor is ", factor, ", expected above 0"); }
};
const quant::Registered<Aciq> aciq("aciq", {{"factor", &Aciq::factor}});

// As many negative integers as positive ones: -127..127, which some other accelerators want of weights.
struct NarrowRange final : quant::FakeQuantize {
  quant::Bounds bounds(const quant::Bounds& type) const override { return {std::max(type.low, -type.high), type.high}; }
};
const quant::Registered<NarrowRange> narrow_range("narrow_range");

void example(const examples::Bench& bench) {
  for (const double factor : {5.03, 9.89}) {
    const auto qconfig = quant::get_default_qconfig({.weight_fake_quant = "narrow_range",
                                                     .activation_observer = "aciq",
                                                     .activation_qkwargs = {{"factor", factor}}});
    auto model = quant::prepare_qat(bench.net, bench.example, {.qconfig = qconfig, .march = quant::March::bayes});
    examples::calibrate(model, bench);
    examples::print(text("aciq, factor ", factor, ", calibrated").c_str(), nn::evaluate(model, bench.test));
    if (factor != 9.89) continue;
    std::printf("\n%s\n", quant::describe(model).c_str());
    examples::train_quantised(model, bench, 0.001);
    examples::print("QAT from it", nn::evaluate(model, bench.test));
  }
}

}  // namespace

int main(int argc, char** argv) {
  return examples::run(argc, argv, "Calibrates ResNet-20 on Fashion-MNIST with an observer that is written here.",
                       example);
}
