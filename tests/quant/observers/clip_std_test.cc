#include "../../../quant/observers/clip_std.h"

#include <cmath>

#include "golden.h"

using namespace sinter;
using namespace sinter::quant;

TEST_CASE("clip_std agrees with numpy's mean and standard deviation") { test::check_golden_ranges("clip_std", 4); }

TEST_CASE("clip_std never widens a range") {
  ClipStd observer;
  observer.std_scale = 10;
  const Range range = observer.observe(Samples(Tensor::from({3}, {1, 2, 3})));
  CHECK(range.min == 1);
  CHECK(range.max == 3);
  // The deviation is that of all values, not of a sample: sqrt(2 / 3).
  observer.std_scale = 1;
  CHECK(observer.observe(Samples(Tensor::from({3}, {1, 2, 3}))).max == doctest::Approx(2 + std::sqrt(2.0 / 3)));
}

TEST_CASE("clip_std's factor is positive and finite") {
  for (const double wrong : {0.0, -1.0, double{INFINITY}, double{NAN}})
    CHECK_ERROR(test::activation_quantizer("clip_std", {{"std_scale", wrong}}), "clip_std: std_scale is ");
}
