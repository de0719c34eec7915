#include "../../../quant/observers/mix.h"

#include "../../../quant/observers/min_max.h"
#include "../../../quant/observers/mse.h"
#include "../../../quant/observers/percentile.h"
#include "golden.h"

using namespace sinter;
using namespace sinter::quant;

TEST_CASE("mix agrees with numpy's candidates") { test::check_golden_ranges("mix", 6); }

TEST_CASE("mix has no larger error than any of its candidates") {
  for (const double power : {1.0, 2.0, 5.0}) {
    Tensor x = test::normal({30000}, 3);
    for (float& v : std::span(x.mutable_data<float>(), 30000))
      v = std::copysign(std::pow(std::abs(v), static_cast<float>(power)), v);
    const Samples samples(x);
    const auto error = [&](Range range) {
      const float scale = scale_from_range(range.min, range.max);
      return samples.squared_errors({&scale, 1}, {})[0];
    };
    const double best = error(Mix().observe(samples));
    CHECK(best <= error(MinMax().observe(samples)));
    CHECK(best <= error(Percentile().observe(samples)));
    CHECK(best <= error(Mse().observe(samples)));
  }
}

TEST_CASE("mix is about the integers that there are") {
  const Tensor x = test::normal({20000});
  Mix observer;
  const float eight = observer.observe(Samples(x)).max;
  Mix four;
  four.type = {-8, 7};
  CHECK(four.observe(Samples(x)).max < 0.9f * eight);
}
