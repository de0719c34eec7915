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
    const auto qconfig =
        get_default_qconfig({.activation_qkwargs = {{"averaging_constant", c.attribute<double>("averaging_constant")},
                                                    {"warm_up", c.attribute<bool>("warm_up")}}});
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

TEST_CASE("min_max per channel, averaged and not, agrees with PyTorch") {
  int cases = 0;
  for (const auto& c : test::golden("observer")) {
    if (c.name.rfind("channels", 0) != 0) continue;
    CAPTURE(c.name);
    ++cases;
    const Tensor &ranges = c.output("ranges"), &scales = c.output("scales");
    std::vector<Range> running(static_cast<size_t>(ranges.size(1)));
    MinMax observer;
    for (int64_t i = 0; i < ranges.size(0); ++i)
      for (int64_t o = 0; o < ranges.size(1); ++o) {
        Range& range = running[static_cast<size_t>(o)];
        const Range seen = observer.observe(Samples::channel(c.input(text("batch", i)), o));
        range = i == 0 ? seen : averaged(range, seen, c.attribute<double>("averaging_constant"));
        CHECK(range.min == ranges.at({i, o, 0}));
        CHECK(range.max == ranges.at({i, o, 1}));
        CHECK(scale_from_range(range.min, range.max) == scales.at({i, o}));
      }
  }
  CHECK(cases == 5);
}

TEST_CASE("min_max covers the full range") {
  CHECK(MinMax().full_range());
  CHECK(MinMax().default_averaging_constant() == 0.01);
}
