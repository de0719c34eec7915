#include "../../../quant/observers/percentile.h"

#include "golden.h"

using namespace sinter;
using namespace sinter::quant;

namespace {

Range observe(double percentile, int64_t bins, const Tensor& x) {
  Percentile observer;
  observer.percentile = percentile;
  observer.bins = bins;
  return observer.observe(Samples(x));
}

Range observe(const Tensor& x) { return observe(99.99, 2048, x); }

}  // namespace

TEST_CASE("percentile agrees with numpy's histogram") { test::check_golden_ranges("percentile", 8); }

TEST_CASE("the clip is the centre of the first bin that reaches the percentile") {
  // 90 values of 0.1, 9 of 2, one of 10: in bins of width 1.
  std::vector<float> values(90, 0.1f);
  values.insert(values.end(), 9, -2.0f);
  values.push_back(10);
  const Tensor x = Tensor::from({100}, values);
  const auto clip = [&](double p) { return observe(p, 10, x); };
  CHECK(clip(90).max == 0.5f);
  CHECK(clip(90).min == -0.5f);
  CHECK(clip(90.5).max == 2.5f);
  CHECK(clip(90.5).min == -2.0f);
  CHECK(clip(99).max == 2.5f);
  CHECK(clip(99.5).max == 9.5f);
  CHECK(clip(100).max == 10);
  CHECK(clip(100).min == -2);
}

TEST_CASE("values of one kind") {
  CHECK(observe(Tensor::zeros({10})).max == 0);
  CHECK(observe(Tensor::zeros({10})).min == 0);
  CHECK(observe(99.99, 1, Tensor::ones({3})).max == 0.5f);
  const Range one = observe(Tensor::full({3}, -4));
  CHECK(one.min == doctest::Approx(-4 * 2047.5 / 2048));
  // A dead channel's weights: the histogram still works where 2048 / limit is no float.
  CHECK(observe(Tensor::full({3}, 1e-41)).max > 0);
}
