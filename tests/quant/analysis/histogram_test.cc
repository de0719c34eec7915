#include "../../../quant/analysis/histogram.h"

#include <algorithm>
#include <cmath>

#include "../../../core/random.h"
#include "../../support.h"

using namespace sinter;
using quant::GrowingHistogram;

namespace {

double largest(const std::vector<float>& x) {
  float result = 0;
  for (const float v : x) result = std::max(result, std::abs(v));
  return static_cast<double>(result);
}

std::vector<float> some(size_t count, double spread, uint64_t seed) {
  const Tensor x = test::normal({static_cast<int64_t>(count)}, seed, spread);
  const auto values = x.values<float>();
  return {values.begin(), values.end()};
}

}  // namespace

TEST_CASE("a growing histogram counts as a plain one, in any order") {
  for (const float scale : {0.0f, 0.02f}) {
    const std::vector<float> small = some(3000, 0.01, 1), wide = some(40000, 3, 2);
    GrowingHistogram first(2, scale), second(2, scale);
    first.add(0, small, largest(small));
    first.add(0, wide, largest(wide));
    first.add(1, small, largest(small));
    second.add(1, small, largest(small));
    second.add(0, wide, largest(wide));
    second.add(0, small, largest(small));
    const auto bins = first.bins(64), other = second.bins(64);
    CHECK(bins.low == other.low);
    CHECK(bins.width == other.width);
    CHECK(bins.counts == other.counts);

    REQUIRE(bins.counts[0].size() <= 64);
    CHECK(bins.counts[0].size() > 16);
    std::vector<int64_t> expected(bins.counts[0].size(), 0);
    for (const auto* part : {&small, &wide})
      for (const float v : *part) ++expected.at(static_cast<size_t>((v - bins.low) / bins.width));
    CHECK(bins.counts[0] == expected);
    CHECK(std::count_if(bins.counts[1].begin(), bins.counts[1].end(), [](int64_t n) { return n > 0; }) < 4);
  }
}

TEST_CASE("integers of a scale are the bins' middles") {
  GrowingHistogram histogram(1, 0.1f);
  std::vector<float> x;
  for (int q = -3; q <= 4; ++q) x.insert(x.end(), static_cast<size_t>(q + 4), static_cast<float>(q) * 0.1f);
  histogram.add(0, x, largest(x));
  const auto bins = histogram.bins(64);
  CHECK(bins.counts[0] == std::vector<int64_t>{1, 2, 3, 4, 5, 6, 7, 8});
  CHECK(bins.width == doctest::Approx(0.1));
  CHECK(bins.low == doctest::Approx(-0.35));
  const auto pairs = histogram.bins(4);
  CHECK(pairs.counts[0].size() <= 4);
  int64_t total = 0;
  for (const int64_t count : pairs.counts[0]) total += count;
  CHECK(total == 36);
}

TEST_CASE("nothing but zeros, extremes and nothing at all have histograms") {
  GrowingHistogram histogram(1, 0);
  CHECK(histogram.bins(64).counts[0] == std::vector<int64_t>{0});
  const std::vector<float> zeros(5, 0.0f), extremes{-3e38f, 3e38f, 1e-40f};
  histogram.add(0, zeros, 0);
  CHECK(histogram.bins(64).counts[0] == std::vector<int64_t>{5});
  histogram.add(0, extremes, largest(extremes));
  const auto bins = histogram.bins(64);
  CHECK(bins.counts[0].size() <= 64);
  CHECK(bins.counts[0].front() == 1);
  CHECK(bins.counts[0].back() == 1);
}
