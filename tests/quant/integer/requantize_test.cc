#include "../../../quant/integer/requantize.h"

#include <optional>

#include "../../../core/parallel.h"
#include "../../../core/random.h"
#include "../../../quant/integer/values.h"
#include "../../support.h"
#include "../plain.h"

using namespace sinter;
using namespace sinter::quant;

namespace {

// Accumulators, residuals and multipliers of which some are extreme and many give ties.
struct Problem {
  Tensor acc, skip;
  Requantization by;

  Problem(int64_t rows, int64_t channels, Bounds bounds, Rounding rounding, bool skips, uint64_t seed,
          DType skip_type = DType::int8)
      : acc(Tensor::empty({rows, channels}, DType::int32)), by{{}, {}, bounds, rounding} {
    Random random(seed, stream_of("requantize"));
    const bool wide = skip_type == DType::int16;
    const double reach = storage_of(bounds) == DType::int16 ? 40000 : 150;
    if (skips) skip = Tensor::empty({rows, channels}, skip_type);
    for (int64_t c = 0; c < channels; ++c) {
      by.bias.push_back(static_cast<int32_t>(random.below(c % 3 == 0 ? 1 << 30 : 1000) - (c % 3 == 0 ? 1 << 29 : 500)));
      const auto shift = static_cast<int32_t>(c % 4 == 0 ? 1 + random.below(16) : 20 + random.below(27));
      const auto m = static_cast<int32_t>(c % 4 == 0 ? int64_t{1} << random.below(14) : random.below(1 << 15));
      // A residual that matters: about 2^shift.
      const int64_t ms = skips ? random.below(int64_t{1} << std::min(shift, wide ? 30 : 38)) : 0;
      by.multipliers.push_back({m, shift, ms});
    }
    auto* a = acc.mutable_data<int32_t>();
    for (int64_t i = 0; i < acc.elements(); ++i) {
      const auto c = static_cast<size_t>(i % channels);
      const Multiplier& m = by.multipliers[c];
      // v near an integer, a tie or beyond the bounds, as far as an accumulator gets there.
      const double v =
          static_cast<double>(random.below(static_cast<int64_t>(4 * reach)) - static_cast<int64_t>(2 * reach)) / 2;
      const double wanted = std::ldexp(v, m.shift) / std::max(m.m, 1) - by.bias[c];
      const double most = (1 << 30) - 1;
      a[i] = static_cast<int32_t>(std::fmax(-most, std::fmin(most, wanted)) + static_cast<double>(random.below(3) - 1));
      if (random.below(20) == 0) a[i] = random.below(2) == 0 ? (1 << 30) - 1 : -(1 << 30);
      if (skips && wide)
        skip.mutable_data<int16_t>()[i] = static_cast<int16_t>(random.below(65536) - 32768);
      else if (skips)
        skip.mutable_data<int8_t>()[i] = static_cast<int8_t>(random.below(256) - 128);
    }
  }

  int64_t skip_at(int64_t i) const { return skip.defined() ? at(skip, i) : 0; }
  static int64_t at(const Tensor& q, int64_t i) {
    return q.dtype() == DType::int16 ? int64_t{q.data<int16_t>()[i]} : int64_t{q.data<int8_t>()[i]};
  }
};

const std::vector<Bounds> kBounds{{-128, 127}, {0, 127}, {0, 60}};

}  // namespace

TEST_SUITE("exact") {
  TEST_CASE("requantised tensors are those of the scalar contract and of exact integers") {
    int64_t inside = 0, wrong = 0;
    for (int64_t channels = 1; channels <= 70; ++channels)
      for (const Rounding rounding : {Rounding::half_to_even, Rounding::half_up})
        for (const bool skips : {false, true}) {
          const Bounds bounds = kBounds[static_cast<size_t>(channels % 3)];
          const Problem p(7, channels, bounds, rounding, skips, static_cast<uint64_t>(channels));
          Tensor y = Tensor::empty(p.acc.shape(), DType::int8);
          requantize(p.acc, p.skip, p.by, y);
          for (int64_t i = 0; i < y.elements(); ++i) {
            const auto c = static_cast<size_t>(i % channels);
            const int64_t acc = int64_t{p.acc.data<int32_t>()[i]} + p.by.bias[c], skip = p.skip_at(i);
            const Multiplier& m = p.by.multipliers[c];
            const int32_t expected = test::plain::requantize(acc, skip, {m.m, m.shift, m.skip}, bounds.low, bounds.high,
                                                             rounding == Rounding::half_up);
            wrong += y.data<int8_t>()[i] != expected;
            wrong += requantize(acc, skip, m, bounds, rounding) != expected;
            inside += expected > bounds.low && expected < bounds.high;
          }
        }
    CHECK(wrong == 0);
    CHECK(inside > 20000);
  }

  TEST_CASE("requantised tensors of 16 bits are those of the scalar contract, and their gradient passes likewise") {
    const Bounds all_bounds[] = {{-32768, 32767}, {0, 32767}, {-32767, 32767}, {0, 20000}, {-128, 127}};
    int64_t inside = 0, wrong = 0, wrong_mask = 0, passed = 0;
    for (const Bounds& bounds : all_bounds)
      for (int64_t channels = 1; channels <= 40; channels += 3)
        for (const Rounding rounding : {Rounding::half_to_even, Rounding::half_up})
          for (const auto skip : {std::optional<DType>(), {DType::int8}, {DType::int16}}) {
            const DType type = storage_of(bounds);
            const Problem p(7, channels, bounds, rounding, skip.has_value(), static_cast<uint64_t>(channels),
                            skip.value_or(DType::int8));
            Tensor y = Tensor::empty(p.acc.shape(), type), same = Tensor::empty(p.acc.shape(), type);
            Tensor mask = empty_mask(7, channels);
            const bool relu = bounds.low == 0;
            const double below = bounds.high == 20000 ? 19999.75 : 0;
            const Bounds whole = type == DType::int8 ? Bounds{} : Bounds{-32768, 32767};
            requantize(p.acc, p.skip, p.by, y);
            requantize(p.acc, p.skip, p.by, same, {whole, relu, below}, mask);
            CHECK_SAME(same, y);
            for (int64_t i = 0; i < y.elements(); ++i) {
              const auto c = static_cast<size_t>(i % channels);
              const int64_t acc = int64_t{p.acc.data<int32_t>()[i]} + p.by.bias[c], skip_value = p.skip_at(i);
              const Multiplier& m = p.by.multipliers[c];
              const int32_t expected = test::plain::requantize(acc, skip_value, {m.m, m.shift, m.skip}, bounds.low,
                                                               bounds.high, rounding == Rounding::half_up);
              wrong += Problem::at(y, i) != expected;
              wrong += requantize(acc, skip_value, m, bounds, rounding) != expected;
              inside += expected > bounds.low && expected < bounds.high;
              const test::plain::Wide v =
                  static_cast<test::plain::Wide>(acc) * m.m + static_cast<test::plain::Wide>(skip_value) * m.skip;
              const auto r = test::plain::rounded(v, m.shift, rounding == Rounding::half_up);
              bool passes = r >= whole.low && r <= whole.high && (!relu || v > 0);
              if (below > 0) passes = passes && 4 * v < (static_cast<test::plain::Wide>(below * 4) << m.shift);
              wrong_mask += (mask.at<uint8_t>({i / channels, i % channels / 8}) >> i % channels % 8 & 1) != passes;
              passed += passes;
            }
          }
    CHECK(wrong == 0);
    CHECK(wrong_mask == 0);
    CHECK(inside > 10000);
    CHECK(passed > 10000);
  }

  TEST_CASE("the gradient passes where the unsaturated value rounds to the type's range, inside of ReLU and ReLU6") {
    struct Kind {
      bool relu;
      double below;
    };
    int64_t wrong = 0, passed = 0, total = 0;
    for (int64_t channels = 1; channels <= 70; ++channels)
      for (const Rounding rounding : {Rounding::half_to_even, Rounding::half_up})
        for (const bool skips : {false, true})
          for (const Kind kind : {Kind{false, 0}, Kind{true, 0}, Kind{true, 59.75}, Kind{true, 130}}) {
            const Bounds bounds = kind.relu ? Bounds{0, kind.below == 59.75 ? 60 : 127} : Bounds{};
            const Problem p(3, channels, bounds, rounding, skips, static_cast<uint64_t>(channels) + 100);
            Tensor y = Tensor::empty(p.acc.shape(), DType::int8), plain = Tensor::empty(p.acc.shape(), DType::int8);
            Tensor mask = empty_mask(3, channels);
            requantize(p.acc, p.skip, p.by, y, {{}, kind.relu, kind.below}, mask);
            requantize(p.acc, p.skip, p.by, plain);
            CHECK_SAME(y, plain);
            for (int64_t i = 0; i < y.elements(); ++i) {
              const auto c = static_cast<size_t>(i % channels);
              const Multiplier& m = p.by.multipliers[c];
              const test::plain::Wide v =
                  (static_cast<test::plain::Wide>(p.acc.data<int32_t>()[i]) + p.by.bias[c]) * m.m +
                  static_cast<test::plain::Wide>(p.skip_at(i)) * m.skip;
              const auto r = test::plain::rounded(v, m.shift, rounding == Rounding::half_up);
              bool passes = r >= -128 && r <= 127 && (!kind.relu || v > 0);
              // 4 v < 4 below 2^n, all integers.
              if (kind.below > 0)
                passes = passes && 4 * v < (static_cast<test::plain::Wide>(kind.below * 4) << m.shift);
              wrong += (mask.at<uint8_t>({i / channels, i % channels / 8}) >> i % channels % 8 & 1) != passes;
              passed += passes;
              ++total;
            }
          }
    CHECK(wrong == 0);
    CHECK(passed > total / 10);
    CHECK(passed < total * 9 / 10);
  }
}

TEST_CASE("requantisation does not depend on threads, and takes an empty tensor") {
  const Problem p(4000, 17, {}, Rounding::half_to_even, true, 3);
  const int before = threads();
  Tensor one = Tensor::empty(p.acc.shape(), DType::int8), many = Tensor::empty(p.acc.shape(), DType::int8);
  set_threads(1);
  requantize(p.acc, p.skip, p.by, one);
  for (const int count : {2, 3}) {
    set_threads(count);
    requantize(p.acc, p.skip, p.by, many);
    CHECK_SAME(many, one);
  }
  set_threads(before);
  Tensor none = Tensor::empty({0, 17}, DType::int8);
  requantize(Tensor::empty({0, 17}, DType::int32), {}, p.by, none);
  CHECK(none.elements() == 0);
}
