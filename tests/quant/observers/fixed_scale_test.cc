#include "../../../quant/observers/fixed_scale.h"

#include <cmath>

#include "golden.h"

using namespace sinter;
using namespace sinter::quant;

TEST_CASE("fixed_scale still follows the range that there is") { test::check_golden_ranges("fixed_scale", 2); }

TEST_CASE("the fixed scale is the scale, bit for bit, before any batch and after") {
  for (const double scale : {0.1, 1.0 / 3, 1.0 / 128, 1e-5, 4.7}) {
    const ActivationQuantizer quantizer = test::activation_quantizer("fixed_scale", {{"scale", scale}});
    CHECK(quantizer.observed());
    CHECK(quantizer.scale(March::bayes) == static_cast<float>(scale));
    quantizer.observe(Samples(Tensor::from({2}, {-3, 50})));
    CHECK(quantizer.scale(March::bayes) == static_cast<float>(scale));
    CHECK(quantizer.range().max == 50);
    CHECK(quantizer.batches() == 1);
  }
}

TEST_CASE("a fixed scale off the march's grid is an error that names the tensor") {
  const ActivationQuantizer off = test::activation_quantizer("fixed_scale", {{"scale", 0.01}});
  CHECK_ERROR(off.scale(March::bernoulli), "x: the fixed scale 0.01 is not on the grid of bernoulli, but 0.015625 is");
  CHECK(test::activation_quantizer("fixed_scale", {{"scale", 0.015625}}).scale(March::bernoulli) == 0x1p-6f);
  CHECK_ERROR(test::activation_quantizer("fixed_scale", {{"scale", 1.0}}).scale(March::bernoulli), "but 0.5 is");
}

TEST_CASE("fixed_scale needs a scale, positive and finite") {
  CHECK_ERROR(test::activation_quantizer("fixed_scale"),
              "fixed_scale: keyword 'scale' is 0, expected at least 2^-23 and finite");
  for (const double wrong : {-1.0, 1e-9, 1e300, double{INFINITY}, double{NAN}})
    CHECK_ERROR(test::activation_quantizer("fixed_scale", {{"scale", wrong}}), "fixed_scale: keyword 'scale' is ");
}

TEST_CASE("weights of a fixed scale have it in every channel; their gradient passes inside of it") {
  const auto config =
      get_default_qconfig({.weight_observer = "fixed_scale", .weight_qkwargs = {{"scale", 0.1}}}).weight;
  const Tensor weight = Tensor::from({2, 2}, {1, -0.3f, 13, -20}), bias = Tensor::zeros({2});
  const auto quantized = [&](const March& march) {
    return WeightQuantizer("conv", config, weight.size(0)).quantize(march, weight, bias, 1);
  };
  const QuantizedWeights q = quantized(March::bayes);
  CHECK(q.scales == std::vector<float>{0.1f, 0.1f});
  CHECK_SAME(q.values, Tensor::from<int8_t>({2, 2}, {10, -3, 127, -128}));
  CHECK_SAME(q.mask, Tensor::from<uint8_t>({2, 1}, {0b11, 0b00}));
  CHECK_ERROR(quantized(March::bernoulli), "conv: weights of output channel 0: the fixed scale 0.1 is not on the grid");
}
