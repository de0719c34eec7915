#include "../../../quant/datapath/two_stage.h"

#include "../../../core/random.h"
#include "../../../quant/march.h"
#include "../plain.h"
#include "cases.h"

using namespace sinter;
using namespace sinter::quant;
using test::DatapathAnswer;
using test::DatapathCase;

namespace {

Grid grid(double scale, int bits) {
  return {static_cast<float>(scale), type_bounds(bits), bits > 8 ? DType::int16 : DType::int8, bits};
}

// One value through the kernels.
int64_t by_kernel(const Datapath& path, int64_t a, int64_t b, const Rescaling& by, const Grid& y) {
  const auto acc = static_cast<int32_t>(a);
  const auto skip = static_cast<int16_t>(b);
  int16_t wide = 0;
  int8_t narrow = 0;
  const bool is_wide = y.dtype == DType::int16;
  path.rescaler({{0}, {by}, y.bounds})
      ->run({.count = 1,
             .acc = &acc,
             .b = &skip,
             .b_type = DType::int16,
             .y = is_wide ? static_cast<void*>(&wide) : &narrow,
             .y_type = y.dtype});
  return is_wide ? wide : narrow;
}

DatapathAnswer answer(const DatapathCase& c) {
  const Datapath& path = *March::named(c.march).datapath;
  const Grid y = grid(c.s_y, c.bits);
  DatapathAnswer found;
  if (c.kind == "rescale") {
    found.by = path.accumulator(c.ratio, y);
  } else if (c.kind == "narrow") {
    // A grid's scale is a float, the case's ratio is none.
    found.by = test::without_first_shift(path.accumulator(c.ratio, y));
    const Grid x = grid(c.ratio, 8);
    check(path.narrow(x, y) == test::without_first_shift(path.accumulator(x.scale, y)), "narrow differs");
  } else if (c.kind == "conv") {
    found.by = path.residual(double{c.s_x} * double{c.s_w}, grid(c.s_skip, 8), y);
  } else {
    found.by = path.sum(c.s_1, c.kind == "sub" ? -double{c.s_2} : c.s_2, 8, y);
  }
  found.y = path.rescale(c.a, c.b, found.by, y.bounds);
  const int64_t vectorised = by_kernel(path, c.a, c.b, found.by, y);
  check(vectorised == found.y, "the kernel gives ", vectorised, ", one value alone ", found.y);
  return found;
}

double log_uniform(Random& random, double low, double high) { return std::exp2(low + (high - low) * random.uniform()); }

}  // namespace

TEST_SUITE("exact") {
  TEST_CASE("two_stage: ratios, residuals, sums and outputs are those of the witness in Python") {
    test::check_golden_datapaths(answer);
  }

  TEST_CASE("two_stage: its integers and outputs are those of the specification, of 16 bits and means, too") {
    Random random(6);
    int64_t wrong = 0, residuals = 0, sums = 0;
    for (int i = 0; i < 20000; ++i) {
      const March& march = i % 3 == 0 ? March::bernoulli2 : i % 3 == 1 ? March::bayes : March::bayes_e;
      const Datapath& path = *march.datapath;
      const test::plain::Path plain(march.name);
      const int bits = i / 3 % 2 == 0 ? 8 : 16, x_bits = i / 6 % 2 == 0 ? 8 : 16;
      const Grid y = grid(log_uniform(random, -14, 2), bits);
      const Grid x = grid(log_uniform(random, -14, 2), x_bits), other = grid(log_uniform(random, -14, 2), x_bits);
      const double unit = double{x.scale} * log_uniform(random, -12, -2);
      const int64_t reach = x.bounds.reach(), count = 1 + random.below(49), acc = random.below(1 << 24) - (1 << 23),
                    p = random.below(2 * reach) - reach, q = random.below(2 * reach) - reach;
      const auto same = [&](const Rescaling& by, const test::plain::By& expected, int64_t a, int64_t b) {
        wrong += !(by == Rescaling{expected.first, expected.second, expected.pre, static_cast<int32_t>(expected.m),
                                   expected.post});
        const int64_t result = plain.apply(expected, a, b, y.bounds.low, y.bounds.high);
        wrong += path.rescale(a, b, by, y.bounds) != result;
        const int64_t sum = expected.first * a + expected.second * b;
        if (std::abs(sum) <= path.limit()) wrong += by_kernel(path, a, b, by, y) != result;
      };
      same(path.accumulator(unit, y), plain.accumulator(unit, y.scale, bits), acc, 0);
      same(path.mean(x.scale, count, y), plain.mean(x.scale, count, y.scale, bits), count * p, 0);
      same(path.narrow(x, y), plain.narrow(x.scale, y.scale, bits), p, 0);
      if (const double k = double{x.scale} / unit; k >= 0.5 && k < 32767.0 * (x_bits > 8 ? 1 : 256)) {
        same(path.residual(unit, x, y), plain.residual(unit, x.scale, reach, y.scale, bits, x_bits), acc, p);
        ++residuals;
      }
      const double sign = march.subtracts && i % 4 == 0 ? -1 : 1;
      const auto expected = plain.sum(x.scale, sign * other.scale, reach, y.scale, bits, x_bits);
      same(path.sum(x.scale, sign * other.scale, x_bits, y), expected, p, q);
      ++sums;
    }
    CHECK(wrong == 0);
    CHECK(residuals > 10000);
    CHECK(sums == 20000);
  }

  TEST_CASE("two_stage: the last shift truncates where the machine description says so, the first one always does") {
    const TwoStage rounds, truncates{{.rounds = false}};
    const Rescaling by{1, 0, 2, 3, 4};
    for (int64_t a = -200; a <= 200; ++a) {
      const auto floored = [](int64_t v, int64_t by_this) {
        return (v - ((v % by_this + by_this) % by_this)) / by_this;
      };
      CHECK(rounds.rescale(a, 0, by, {}) == floored(3 * floored(a, 4) + 8, 16));
      CHECK(truncates.rescale(a, 0, by, {}) == floored(3 * floored(a, 4), 16));
      CHECK(by_kernel(rounds, a, 0, by, {}) == floored(3 * floored(a, 4) + 8, 16));
      CHECK(by_kernel(truncates, a, 0, by, {}) == floored(3 * floored(a, 4), 16));
    }
    CHECK(rounds.rescale(1 << 30, 0, {1, 0, 0, 1, 0}, {INT16_MIN, INT16_MAX}) == INT16_MAX);  // 16 bits between
    CHECK(rounds.rescale(1 << 30, 0, {1, 0, 0, 1, 8}, {INT16_MIN, INT16_MAX}) == 128);
  }

  TEST_CASE("two_stage: a residual without integers is an error, at the specification's limits") {
    const TwoStage path;
    const Grid y{1}, skip{0.5f}, wide{0.5f, type_bounds(16), DType::int16, 16};
    CHECK(path.residual(1, skip, y).second == 1);  // k = 0.5 rounds to 1
    CHECK_ERROR(path.residual(1.001, skip, y), "is 0.499500499500");
    CHECK(path.residual(0.5 / 32767, skip, y).second == 32767);
    CHECK(path.residual(0.5 / 32769, skip, y).second == 32770);  // 16385 << 1
    CHECK(path.residual(0.5 / (32767.0 * 256), skip, y).second == 32767 << 8);
    CHECK_ERROR(path.residual(0.5 / (32768.0 * 256), skip, y), "expected 0.5 to 8388352");
    CHECK(path.residual(0.5 / 32767, wide, y).second == 32767);
    CHECK_ERROR(path.residual(0.5 / 32768, wide, y), "expected 0.5 to 32767");
  }
}

TEST_SUITE("slow") {
  TEST_CASE("two_stage: 300,000 new cases of the witness in Python") { test::check_new_datapaths(answer); }
}
