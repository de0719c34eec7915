#include "../../../quant/observers/mse.h"

#include "golden.h"

using namespace sinter;
using namespace sinter::quant;

TEST_CASE("mse agrees with numpy's search") { test::check_golden_ranges("mse", 8); }

TEST_CASE("mse clips what costs less than coarser integers for all") {
  std::vector<float> values(100000);
  for (size_t i = 0; i < values.size(); ++i) values[i] = 0.37f * static_cast<float>(i) / 100000;
  values[500] = -1;
  Mse observer;
  const Range eight = observer.observe(Samples(Tensor::from({100000}, values)));
  // N / 12 (f / 127.5)^2 + (1 - f)^2 is least for f = 0.66.
  CHECK(eight.min == doctest::Approx(-0.66).epsilon(0.1));
  CHECK(eight.max / eight.min == doctest::Approx(-0.37));  // the same part of both ends
}

TEST_CASE("mse is about the integers that there are") {
  const Tensor x = test::normal({20000});
  const Range whole = Samples(x).range();
  Mse observer;
  const float eight = observer.observe(Samples(x)).max / whole.max;
  observer.type = {-8, 7};
  const float four = observer.observe(Samples(x)).max / whole.max;
  CHECK(eight > 0.8f);
  CHECK(four < 0.75f);
}

TEST_CASE("of equal errors the widest range is taken") {
  const Range zero = Mse().observe(Samples(Tensor::zeros({4})));
  CHECK(zero.min == 0);
  CHECK(zero.max == 0);
  // All scales are the smallest there is.
  CHECK(Mse().observe(Samples(Tensor::full({4}, 1e-9f))).max == 1e-9f);
}

TEST_CASE("mse works with the largest and the smallest of floats") {
  for (const float size : {1e-44f, 1e-30f, 1e-20f, 1e20f, 3e38f}) {
    CAPTURE(size);
    const Range range = Mse().observe(Samples(Tensor::from({3}, {-size, size, size / 2})));
    CHECK(range.max > 0.9f * size);
    CHECK(range.max <= size);
  }
}
