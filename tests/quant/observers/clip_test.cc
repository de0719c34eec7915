#include "../../../quant/observers/clip.h"

#include <cmath>

#include "golden.h"

using namespace sinter;
using namespace sinter::quant;

TEST_CASE("clip agrees with numpy's") { test::check_golden_ranges("clip", 3); }

TEST_CASE("clip takes every batch as it is unless told otherwise") {
  const ActivationQuantizer quantizer = test::activation_quantizer("clip", {{"max", 6.0}});
  for (const float v : {5.0f, 9.0f, 2.0f}) {
    quantizer.observe(Samples(Tensor::full({3}, v)));
    CHECK(quantizer.range().max == std::min(v, 6.0f));
  }
}

TEST_CASE("clip needs a limit at least, and the lower one below the upper one") {
  CHECK_ERROR(test::activation_quantizer("clip"),
              "clip: min is -inf and max is inf, expected one of these keywords at least");
  CHECK_ERROR(test::activation_quantizer("clip", {{"min", 1.0}, {"max", 1.0}}),
              "clip: min is 1 and max is 1, expected min < max");
  CHECK_ERROR(test::activation_quantizer("clip", {{"min", double{NAN}}, {"max", 1.0}}), "expected min < max");
  CHECK_ERROR(test::activation_quantizer("clip", {{"maximum", 1.0}}),
              "keyword 'maximum' is unknown to fake_quant and observer clip, expected one of: averaging_constant, "
              "dtype, min, max");
}
