#include "../../../quant/datapath/single.h"

#include "../../../core/random.h"
#include "../../support.h"
#include "../plain.h"

using namespace sinter;
using namespace sinter::quant;

namespace {

double log_uniform(Random& random, double low, double high) { return std::exp2(low + (high - low) * random.uniform()); }

Grid skip_grid(float scale, Bounds bounds = {}) { return {scale, bounds}; }

Rescaling of(int64_t first, int post, int64_t second = 0) { return {first, second, 0, 1, post}; }

}  // namespace

TEST_CASE("multipliers are those of exact integer arithmetic") {
  Random random(1);
  const Single path;
  for (int i = 0; i < 20000; ++i) {
    const auto sx = static_cast<float>(log_uniform(random, -23, 4)),
               sw = static_cast<float>(log_uniform(random, -23, 4)),
               sy = static_cast<float>(log_uniform(random, -20, 4)),
               ss = static_cast<float>(log_uniform(random, -20, 4));
    const double unit = static_cast<double>(sx) * static_cast<double>(sw);
    const bool skips = i % 2 == 0;
    const Grid skip = skip_grid(ss, i % 3 == 0 ? Bounds{0, 127} : Bounds{}), y{sy};
    const double skip_ratio = skips ? static_cast<double>(ss) / static_cast<double>(sy) : 0;
    const auto expected =
        test::plain::multiplier(unit / static_cast<double>(sy), skip_ratio, skips ? skip.bounds.reach() : 0);
    CAPTURE(unit);
    CAPTURE(skip_ratio);
    const auto found = [&] { return skips ? path.residual(unit, skip, y) : path.accumulator(unit, y); };
    if (expected)
      REQUIRE(found() == of(expected->m, expected->shift, expected->skip));
    else
      CHECK_ERROR(found(), "no 15-bit multiplier reaches the ratio");
  }
}

TEST_CASE("multipliers of any bits and shifts are those of exact integer arithmetic") {
  Random random(2);
  int differ = 0;
  for (int i = 0; i < 10000; ++i) {
    const Single path({.multiplier_bits = 4 + random.below(18), .max_shift = 10 + random.below(37)});
    const double ratio = log_uniform(random, -30, 4);
    const auto skip = static_cast<float>(log_uniform(random, -10, 4));
    const bool skips = i % 2 == 0;
    const auto expected = test::plain::multiplier(ratio, skips ? static_cast<double>(skip) : 0, skips ? 128 : 0,
                                                  static_cast<int>(path.numbers.multiplier_bits),
                                                  static_cast<int>(path.numbers.max_shift));
    CAPTURE(to_string(path));
    CAPTURE(ratio);
    const auto of_path = [&](const Single& p) {
      return skips ? p.residual(ratio, skip_grid(skip), Grid{1}) : p.accumulator(ratio, Grid{1});
    };
    if (!expected) {
      CHECK_ERROR(of_path(path), text("no ", path.numbers.multiplier_bits, "-bit multiplier"));
      continue;
    }
    REQUIRE(of_path(path) == of(expected->m, expected->shift, expected->skip));
    differ += !(of_path(path) == of_path(Single()));
  }
  CHECK(differ > 5000);
}

TEST_CASE("multipliers at the edges") {
  const Single path;
  const auto by = [&](double ratio) { return path.accumulator(ratio, Grid{1}); };
  CHECK(by(1) == of(1 << 14, 14));
  CHECK(by(0.5) == of(1 << 14, 15));
  CHECK(by(0x1p-32) == of(1 << 14, 46));
  CHECK(by(0x1p-40) == of(1 << 6, 46));  // the largest shift
  CHECK(by(0x1p-47) == of(0, 46));       // half of one rounds to even
  CHECK(by(0x1.8p-46) == of(2, 46));
  CHECK(by(32767) == of(32767, 0));
  CHECK(by(32767.5 / 32768) == of(16384, 14));  // 32767.5 would round to 2^15
  CHECK(by(32767.25 / 32768) == of(32767, 15));
  CHECK_ERROR(by(32767.5), "no 15-bit multiplier reaches the ratio 32767.5 of input to output scale");
  CHECK_ERROR(by(1e300), "no 15-bit multiplier");
  CHECK_ERROR(by(INFINITY), "a ratio of scales is not finite");
  CHECK_ERROR(by(NAN), "not finite");
  // A residual whose term would reach 2^46 lowers n: 128 ms < 2^46.
  CHECK(path.residual(0x1p-40, skip_grid(1), Grid{1}) == of(0, 38, int64_t{1} << 38));
  CHECK(path.residual(0x1p-30, skip_grid(1, {0, 127}), Grid{1}) == of(512, 39, int64_t{1} << 39));
  CHECK(path.residual(0x1p-30, skip_grid(4), Grid{1}) == of(64, 36, int64_t{1} << 38));
}

TEST_CASE("a sum's multipliers are limited by its larger operand, and differences by magnitude") {
  const Single path;
  const Grid y{1};
  const Rescaling sum = path.sum(0.25, 3, 8, y), swapped = path.sum(3, 0.25, 8, y), minus = path.sum(0.25, -3, 8, y);
  CHECK(sum == of(1 << 11, 13, 3 << 13));
  CHECK(swapped == of(3 << 13, 13, 1 << 11));
  CHECK(minus == of(1 << 11, 13, -(3 << 13)));
}

TEST_CASE("one rounding, half to even, of exact integer arithmetic") {
  Random random(5);
  const Single path;
  const test::plain::Path plain("nash");
  const std::vector<int64_t> extremes{0, 1, -1, (int64_t{1} << 31) - 1, -(int64_t{1} << 31), (int64_t{1} << 30) + 1};
  int64_t wrong = 0, inside = 0;
  for (int i = 0; i < 60000; ++i) {
    Rescaling by = of(random.below(1 << 15), static_cast<int32_t>(random.below(47)));
    const int skip_bits = static_cast<int>(random.below(40));
    by.second = i % 2 == 0 ? 0 : random.below(int64_t{1} << skip_bits);
    int64_t acc = i % 7 == 0 ? extremes[static_cast<size_t>(random.below(6))]
                             : random.below(int64_t{1} << (1 + random.below(31))) * (random.below(2) == 0 ? 1 : -1);
    if (i % 5 == 0) {  // near or at a tie
      by = of(int64_t{1} << random.below(15), 1 + static_cast<int32_t>(random.below(24)));
      acc = ((2 * (random.below(256) - 128) + 1) * (int64_t{1} << (by.post - 1))) / by.first + random.below(3) - 1;
    }
    const int64_t skip = random.below(256) - 128;
    const Bounds bounds = i % 3 == 0 ? Bounds{0, 127} : i % 3 == 1 ? Bounds{} : Bounds{0, 93};
    const int64_t expected = plain.apply({by.first, by.second, 0, 1, by.post}, acc, skip, bounds.low, bounds.high);
    wrong += path.rescale(acc, skip, by, bounds) != expected;
    inside += expected > bounds.low && expected < bounds.high;
  }
  CHECK(wrong == 0);
  CHECK(inside > 5000);
  CHECK(path.rescale(-1, 0, of(1, 1), {}) == 0);
  CHECK(path.rescale(-3, 0, of(1, 1), {}) == -2);
  CHECK(path.rescale(-5, 0, of(1, 1), {}) == -2);
  CHECK(path.rescale(5, 0, of(1, 1), {}) == 2);
}

TEST_CASE("numbers that no hardware of this kind has are refused") {
  CHECK_ERROR(make_datapath("single", std::vector<Field>{{"multiplier_bits", int64_t{22}}}),
              "datapath single: multiplier_bits is 22, expected 1 to 21");
  CHECK_ERROR(make_datapath("single", std::vector<Field>{{"max_shift", int64_t{47}}}),
              "datapath single: max_shift is 47, expected 0 to 46");
  const Single path;
  CHECK_ERROR(path.check_rescaling({1, 0, 1, 1, 0}, 1, 0), "it has a second stage");
  CHECK_ERROR(path.check_rescaling(of(1 << 15, 3), 1, 0), "its multiplier does not fit the hardware");
  CHECK_ERROR(path.check_rescaling(of(5, 47), 1, 0), "its shift is out of the hardware's range");
}
