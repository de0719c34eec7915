#include "../../../core/kernel/elementwise.h"

#include <cmath>

#include "../../../core/kernel/bits.h"
#include "../../../core/random.h"
#include "../../support.h"
#include "tables.h"

using namespace sinter;
using kernel::ElementwiseKernels;

namespace {

constexpr int64_t kCounts[] = {0, 1, 7, 8, 9, 15, 16, 17, 63, 64, 100, 255, 256, 257, 1000};

std::vector<const ElementwiseKernels*> tables() {
  auto all = RUNNABLE_TABLES(ElementwiseKernels, kernel::elementwise_kernels);
  all.push_back(&kernel::elementwise_kernels_baseline);
  return all;
}

std::vector<uint8_t> random_bytes(int64_t count) {
  Random random(static_cast<uint64_t>(count), stream_of("elementwise kernel"));
  std::vector<uint8_t> bytes;
  for (int64_t i = 0; i < count; ++i) bytes.push_back(static_cast<uint8_t>(random.below(256)));
  return bytes;
}

}  // namespace

TEST_CASE("masked lets through what has its bit set, in place too") {
  for (const int64_t rows : {1, 3})
    for (const int64_t row : kCounts)
      for (const auto* k : tables()) {
        CAPTURE(row);
        const int64_t bytes = kernel::bit_bytes(row), count = rows * row;
        const auto bits = random_bytes(rows * bytes);
        const Tensor x = test::normal({count + 1});
        Tensor y = x.clone();
        k->masked(bits.data(), y.data<float>(), rows, row, y.mutable_data<float>());
        int64_t wrong = 0;
        for (int64_t i = 0; i < count; ++i) {
          const int byte = bits[static_cast<size_t>(i / row * bytes + i % row / 8)];
          wrong += y.at({i}) != ((byte >> i % row % 8 & 1) != 0 ? x.at({i}) : 0);
        }
        CHECK(wrong == 0);
        CHECK(y.at({count}) == x.at({count}));
      }
}

TEST_CASE("quantize rounds ties as it is told, clamps, and says what it clamped") {
  // At half a unit each way of every integer, on it, and beyond the range.
  std::vector<float> x{NAN, INFINITY, -INFINITY, 1e30f, -1e30f, 0.49999997f, -0.49999997f, 126.50001f};
  for (int i = -140; i <= 140; ++i)
    for (const float part : {0.0f, 0.5f, 0.25f}) x.push_back(static_cast<float>(i) + part);
  const auto count = static_cast<int64_t>(x.size());
  for (const bool half_up : {false, true})
    for (const auto& bounds : {std::pair(-128, 127), std::pair(0, 127), std::pair(0, 15)})
      for (const auto* k : tables()) {
        const int low = bounds.first, high = bounds.second;
        std::vector<int8_t> y(x.size() + 1, 99);
        std::vector<uint8_t> bits(static_cast<size_t>(kernel::bit_bytes(count)) + 1, 0xab);
        std::vector<float> scaled(x);
        for (float& v : scaled) v *= 4;
        k->quantize(
            {scaled.data(), 0.25f, static_cast<float>(low), static_cast<float>(high), half_up, y.data(), bits.data()},
            count);
        for (size_t i = 0; i < x.size(); ++i) {
          CAPTURE(x[i]);
          const double v = std::isnan(x[i]) ? 0.0 : static_cast<double>(x[i]);
          const double r = half_up ? std::floor(v + 0.5) : std::nearbyint(v);
          CHECK(static_cast<double>(y[i]) == std::clamp(r, static_cast<double>(low), static_cast<double>(high)));
          CHECK((bits[i / 8] >> i % 8 & 1) == (r >= low && r <= high));
        }
        CHECK(y.back() == 99);
        CHECK(bits.back() == 0xab);
        const std::vector<int8_t> with_bits = y;
        k->quantize({scaled.data(), 0.25f, static_cast<float>(low), static_cast<float>(high), half_up, y.data()},
                    count);
        CHECK(y == with_bits);
      }
}

TEST_CASE("integers widened to floats, and the sum of their sizes") {
  for (const int64_t count : kCounts)
    for (const auto* k : tables()) {
      const auto bytes = random_bytes(count);
      const std::vector<int8_t> x(bytes.begin(), bytes.end());
      std::vector<float> y(x.size() + 1, 0.5f);
      k->widen(x.data(), count, y.data());
      int64_t sum = 0;
      for (size_t i = 0; i < x.size(); ++i) {
        CHECK(y[i] == static_cast<float>(x[i]));
        sum += std::abs(int{x[i]});
      }
      CHECK(y.back() == 0.5f);
      CHECK(k->sum_abs(x.data(), count) == sum);
    }
}

TEST_CASE("bins of a histogram: beyond the last one the last, NaN in one of its own") {
  const std::vector<float> x{0,     -0.0f, 0.24f,    0.25f,     -0.25f, 0.99f, 1,           -2,  1e-3f,
                             1e30f, NAN,   INFINITY, -INFINITY, 0.5f,   0.75f, -0.7499999f, 0.1f};
  const std::vector<int32_t> expected{0, 0, 0, 1, 1, 3, 3, 3, 0, 3, 4, 3, 3, 2, 3, 2, 0};
  for (const auto* k : tables()) {
    std::vector<int32_t> bins(x.size() + 1, 99);
    k->bins(x.data(), static_cast<int64_t>(x.size()), 4, 4, bins.data());
    CHECK(bins.back() == 99);
    bins.pop_back();
    CHECK(bins == expected);
    // No float: the product is in double.
    const std::vector<float> tiny{1e-42f, -2e-42f, 0};
    bins.resize(3);
    k->bins(tiny.data(), 3, 1.25e42, 1 << 20, bins.data());
    CHECK(bins == std::vector<int32_t>{1, 2, 0});
  }
}

TEST_CASE("squared errors of integers: every table gives the same bits, near to a plain loop") {
  for (const int64_t count : {0, 1, 31, 32, 33, 100, 8192}) {
    CAPTURE(count);
    const Tensor x = test::normal({count + 1}, 1, 60);
    double expected = 0;
    for (int64_t i = 0; i < count; ++i) {
      const double v = static_cast<double>(x.at({i})) * 2;
      const double error = v - std::clamp(std::nearbyint(v), -128.0, 127.0);
      expected += error * error;
    }
    const double baseline = kernel::elementwise_kernels_baseline.squared_error(x.data<float>(), count, 2, -128, 127);
    CHECK(baseline == doctest::Approx(expected).epsilon(1e-5));
    for (const auto* k : tables()) CHECK(k->squared_error(x.data<float>(), count, 2, -128, 127) == baseline);
  }
}

TEST_CASE("the range of floats, whatever lies between, and whether all are finite") {
  for (const int64_t count : kCounts)
    for (const auto* k : tables()) {
      Tensor x = test::normal({count + 1});
      float low = INFINITY, high = -INFINITY, least = low, most = high;
      CHECK_FALSE(k->range(x.data<float>(), count, &low, &high));
      for (int64_t i = 0; i < count; ++i) {
        least = std::min(least, x.at({i}));
        most = std::max(most, x.at({i}));
      }
      CHECK(low == least);
      CHECK(high == most);
      if (count == 0) continue;
      for (const float odd : {NAN, INFINITY, -INFINITY}) {
        x.mutable_data<float>()[count / 2] = odd;
        low = high = 0;
        CHECK(k->range(x.data<float>(), count, &low, &high));
      }
    }
}
