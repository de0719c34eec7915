#include "../../../quant/observers/min_max.h"

#include "../../../quant/quantizer.h"
#include "../../support.h"

using namespace sinter;
using namespace sinter::quant;

TEST_CASE("min_max and its moving average agree with PyTorch") {
  int cases = 0;
  for (const auto& c : test::golden("observer")) {
    if (c.name.rfind("min_max", 0) != 0) continue;
    CAPTURE(c.name);
    ++cases;
    const auto qconfig = get_default_qconfig(
        {.activation_qkwargs = {{"averaging_constant", c.attribute<double>("averaging_constant")}}});
    const ActivationQuantizer quantizer("x", *qconfig.activation);
    const Tensor &ranges = c.output("ranges"), &scales = c.output("scales");
    int64_t values = 0;
    for (int64_t i = 0; i < ranges.size(0); ++i) {
      const Tensor& batch = c.input(text("batch", i));
      quantizer.observe(Samples(batch));
      values += batch.elements();
      CHECK(quantizer.range().min == ranges.at({i, 0}));
      CHECK(quantizer.range().max == ranges.at({i, 1}));
      CHECK(quantizer.scale(March::bayes) == scales.at({i}));
      CHECK(quantizer.batches() == i + 1);
      CHECK(quantizer.values() == values);
    }
  }
  CHECK(cases == 7);
}

TEST_CASE("min_max covers the full range") {
  CHECK(MinMax().full_range());
  CHECK(MinMax().default_averaging_constant() == 0.01);
}
