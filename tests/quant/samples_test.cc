#include "../../quant/samples.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>

#include "../../core/parallel.h"
#include "pieces.h"

using namespace sinter;
using namespace sinter::quant;

namespace {

constexpr float kInf = std::numeric_limits<float>::infinity();
constexpr float kNan = std::numeric_limits<float>::quiet_NaN();
constexpr int64_t kMany = 3 * Samples::kBlock + 123;

struct Statistics {
  Range range;
  Moments moments;
  std::vector<int64_t> histogram;
};

Statistics statistics(const Samples& samples) {
  return {samples.range(), samples.moments(), samples.histogram(100, 3)};
}

bool operator==(const Statistics& a, const Statistics& b) {
  return a.range.min == b.range.min && a.range.max == b.range.max && a.moments.min == b.moments.min &&
         a.moments.max == b.moments.max && a.moments.mean == b.moments.mean && a.moments.std == b.moments.std &&
         a.histogram == b.histogram;
}

}  // namespace

TEST_CASE("statistics are those of a plain loop") {
  for (const int64_t count :
       {int64_t{1}, int64_t{15}, int64_t{16}, int64_t{17}, Samples::kBlock, Samples::kBlock + 1, kMany}) {
    CAPTURE(count);
    const Tensor x = test::normal({count}, 4, 2);
    const auto values = x.values<float>();
    const auto [min, max] = std::minmax_element(values.begin(), values.end());
    double sum = 0, squares = 0;
    for (const float v : values) sum += v;
    const double mean = sum / static_cast<double>(count);
    for (const float v : values) squares += (v - mean) * (v - mean);
    std::vector<int64_t> counts(100);
    for (const float v : values) ++counts[static_cast<size_t>(std::min(std::abs(v) * (100.0 / 3.0), 99.0))];

    const Samples samples(x);
    CHECK(samples.count() == count);
    CHECK(samples.range().min == *min);
    CHECK(samples.range().max == *max);
    const Moments m = samples.moments();
    CHECK(m.min == *min);
    CHECK(m.max == *max);
    CHECK(m.mean == doctest::Approx(mean).epsilon(1e-6));
    CHECK(m.std == doctest::Approx(std::sqrt(squares / static_cast<double>(count))).epsilon(1e-6));
    CHECK(samples.histogram(100, 3) == counts);
  }
}

TEST_CASE("the extreme values count wherever they are") {
  for (const int64_t at : {int64_t{0}, int64_t{7}, int64_t{16}, kMany - 1, Samples::kBlock}) {
    CAPTURE(at);
    Tensor x = Tensor::zeros({kMany});
    x.mutable_data<float>()[at] = -9;
    CHECK(Samples(x).range().min == -9);
    CHECK(Samples(x).range().max == 0);
    x.mutable_data<float>()[at] = 9;
    CHECK(Samples(x).range().min == 0);
    CHECK(Samples(x).range().max == 9);
    for (const float infinity : {kInf, -kInf}) {
      x.mutable_data<float>()[at] = infinity;
      CHECK_ERROR(Samples(x).range(), "the tensor holds an infinity, which no range covers");
      CHECK_ERROR(Samples(x).moments(), "the tensor holds an infinity");
    }
  }
}

TEST_CASE("NaN is an error wherever it is, also beside infinities") {
  for (const int64_t at : {int64_t{0}, int64_t{7}, int64_t{16}, kMany - 1, Samples::kBlock}) {
    CAPTURE(at);
    Tensor x = Tensor::zeros({kMany});
    x.mutable_data<float>()[at] = kNan;
    CHECK_ERROR(Samples(x).range(), "the tensor holds NaN, which has no quantised value");
    CHECK_ERROR(Samples(x).moments(), "the tensor holds NaN");
    CHECK_ERROR(Samples(x).histogram(10, 1), "the tensor holds NaN");
    x.mutable_data<float>()[(at + 1) % kMany] = kInf;
    CHECK_ERROR(Samples(x).range(), "the tensor holds NaN");
  }
}

TEST_CASE("nothing has no range") {
  CHECK_ERROR(Samples(Tensor::zeros({0, 3})).range(), "a tensor without elements has no range");
  CHECK(Samples(Tensor::zeros({0})).histogram(3, 1) == std::vector<int64_t>{0, 0, 0});
}

TEST_CASE("a histogram's bins: the limit and what is beyond count in the last") {
  const Tensor x = Tensor::from({8}, {0, 0.24f, 0.25f, -0.25f, 0.99f, 1, -2, kInf});
  CHECK(Samples(x).histogram(4, 1) == std::vector<int64_t>{2, 2, 0, 4});
  CHECK(Samples(Tensor::zeros({5})).histogram(3, 0) == std::vector<int64_t>{5, 0, 0});
  // So small that bins / limit is no float.
  CHECK(Samples(Tensor::from({3}, {0, 1e-42f, -2e-42f})).histogram(4, 2e-42f) == std::vector<int64_t>{1, 0, 1, 1});
}

TEST_CASE("squared errors are those of a plain loop, for each scale") {
  const Tensor x = test::normal({kMany}, 6, 2);
  const std::vector<float> scales{0.1f, 0.01f, 1, 0.001f};
  for (const Bounds& type : {Bounds{}, Bounds{-8, 7}, Bounds{0, 255}}) {
    const auto errors = Samples(x).squared_errors(scales, type);
    REQUIRE(errors.size() == scales.size());
    for (size_t i = 0; i < scales.size(); ++i) {
      double expected = 0;
      for (const float v : x.values<float>()) {
        const int32_t q = quantize(v, 1 / scales[i], type, Rounding::half_up);
        const double error = static_cast<double>(v) - static_cast<double>(scales[i]) * q;
        expected += error * error;
      }
      CHECK(errors[i] == doctest::Approx(expected).epsilon(1e-5));
    }
  }
}

TEST_CASE("a channel of a weight") {
  const Tensor w = Tensor::from({3, 1, 1, 2}, {1, -2, 3, -4, 5, -6});
  const Range range = Samples::channel(w, 1).range();
  CHECK(range.min == -4);
  CHECK(range.max == 3);
  CHECK(Samples::channel(w, 2).count() == 2);
}

TEST_CASE("statistics depend neither on threads nor on where the values come from") {
  const Tensor x = test::normal({kMany}, 8);
  const float* data = x.data<float>();
  const Samples computed(kMany, [data](int64_t begin, int64_t end, float* buffer) -> const float* {
    std::copy(data + begin, data + end, buffer);
    return buffer;
  });
  const int before = threads();
  set_threads(1);
  const Statistics one = statistics(Samples(x));
  for (const int count : {1, 2, 3, 7}) {
    set_threads(count);
    CHECK(statistics(Samples(x)) == one);
    CHECK(statistics(computed) == one);
  }
  set_threads(before);
}

TEST_CASE("a batch in pieces has the bits of the whole") {
  const Tensor x = test::normal({kMany}, 12, 3);
  const std::vector<float> scales{0.1f, 0.01f};
  using Cuts = std::vector<int64_t>;
  for (const Cuts& cuts :
       {Cuts{0, kMany}, Cuts{0, 1, kMany}, Cuts{0, 1000, 1000, 9000, kMany},
        Cuts{0, Samples::kBlock, 2 * Samples::kBlock, kMany}, Cuts{0, 5, 6, 7, Samples::kBlock + 1, kMany, kMany}}) {
    CAPTURE(cuts.size());
    const Samples samples(test::pieces_of(x, cuts));
    CHECK(samples.count() == kMany);
    CHECK(statistics(samples) == statistics(Samples(x)));
    CHECK(samples.squared_errors(scales, {}) == Samples(x).squared_errors(scales, {}));
  }
  CHECK(Samples(std::vector<Tensor>{}).count() == 0);
}

TEST_CASE("a user's reduction sees every value once, in fixed blocks merged in order") {
  const Tensor x = Tensor::arange(kMany, DType::float32);
  const auto firsts = Samples(x).reduce(
      std::vector<float>{},
      [](std::vector<float>& result, const float* values, int64_t count) {
        result.push_back(values[0]);
        result.push_back(static_cast<float>(count));
      },
      [](std::vector<float>& into, const std::vector<float>& from) {
        into.insert(into.end(), from.begin(), from.end());
      });
  const auto block = static_cast<float>(Samples::kBlock);
  CHECK(firsts == std::vector<float>{0, block, block, block, 2 * block, block, 3 * block, 123});
}
