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
  Rescalings by;

  Problem(int64_t rows, int64_t channels, Bounds bounds, bool skips, uint64_t seed, DType skip_type = DType::int8)
      : acc(Tensor::empty({rows, channels}, DType::int32)), by{{}, {}, bounds} {
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
      by.by.push_back({m, ms, 0, 1, shift});
    }
    auto* a = acc.mutable_data<int32_t>();
    for (int64_t i = 0; i < acc.elements(); ++i) {
      const auto c = static_cast<size_t>(i % channels);
      const Rescaling& m = by.by[c];
      // v near an integer, a tie or beyond the bounds, as far as an accumulator gets there.
      const double v =
          static_cast<double>(random.below(static_cast<int64_t>(4 * reach)) - static_cast<int64_t>(2 * reach)) / 2;
      const double wanted = std::ldexp(v, m.post) / static_cast<double>(std::max<int64_t>(m.first, 1)) - by.bias[c];
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
  int64_t expected(int64_t i) const {
    const auto c = static_cast<size_t>(i % acc.size(1));
    const Rescaling& m = by.by[c];
    return test::plain::Path("nash").apply({m.first, m.second, m.pre, m.m, m.post},
                                           int64_t{acc.data<int32_t>()[i]} + by.bias[c], skip_at(i), by.y.low,
                                           by.y.high);
  }
  static int64_t at(const Tensor& q, int64_t i) {
    return q.dtype() == DType::int16 ? int64_t{q.data<int16_t>()[i]} : int64_t{q.data<int8_t>()[i]};
  }
};

// Accumulators whose real values lie at the ends of what a gradient passes, by scales that are integers here:
// s_x s_w[c] = unit[c] 2^-48, s_skip = skip 2^-24, s_y = scale 2^-24. Some are powers of two, which give true ties.
struct RealProblem {
  using Wide = test::plain::Wide;
  std::vector<int64_t> unit;
  int64_t skip_unit = 0, scale;
  Tensor acc, skip;
  Bounds type;
  Activation activation;
  Rounding rounding;
  Rescalings by;
  std::vector<double> real_unit;

  RealProblem(int64_t rows, int64_t channels, const Bounds& t, Rounding how, Activation a,
              std::optional<DType> skip_type, uint64_t seed)
      : acc(Tensor::empty({rows, channels}, DType::int32)), type(t), activation(a), rounding(how) {
    Random random(seed, stream_of("real"));
    const bool ties = channels % 2 == 0;
    const auto number = [&](int bits) {
      return ties ? int64_t{1} << (bits - 1) : (int64_t{1} << (bits - 1)) + random.below(int64_t{1} << (bits - 1));
    };
    const int bits = type.high > 127 ? 13 : 21;  // of s_y: 6 is inside of the type, at times
    scale = number(bits);
    if (skip_type) {
      skip_unit = number(skip_type == DType::int16 ? 13 : 21);
      skip = Tensor::empty(acc.shape(), *skip_type);
    }
    by.y = output_bounds(activation, real_scale(), rounding, type);
    for (int64_t c = 0; c < channels; ++c) {
      unit.push_back(number(12) * number(type.high > 127 ? 12 : 20));
      real_unit.push_back(std::ldexp(static_cast<double>(unit.back()), -48));
      by.bias.push_back(static_cast<int32_t>(random.below(2001) - 1000));
      by.by.push_back(March::nash.datapath->residual(
          real_unit.back(), Grid{real_skip(), type_bounds(16), DType::int16, 16}, Grid{real_scale(), type}));
    }
    for (int64_t i = 0; i < acc.elements(); ++i) {
      if (skip.defined() && *skip_type == DType::int16)
        skip.mutable_data<int16_t>()[i] = static_cast<int16_t>(random.below(65536) - 32768);
      else if (skip.defined())
        skip.mutable_data<int8_t>()[i] = static_cast<int8_t>(random.below(256) - 128);
      const double s = static_cast<double>(real_scale());
      const double edges[] = {(type.low - 0.5) * s, type.low * s, 0, 6, type.high * s, (type.high + 0.5) * s};
      const double wanted = (edges[random.below(6)] - static_cast<double>(skip_at(i) * real_skip())) /
                            real_unit[static_cast<size_t>(i % channels)];
      acc.mutable_data<int32_t>()[i] = static_cast<int32_t>(std::nearbyint(wanted)) -
                                       by.bias[static_cast<size_t>(i % channels)] +
                                       static_cast<int32_t>(random.below(3) - 1);
    }
  }

  float real_scale() const { return std::ldexp(static_cast<float>(scale), -24); }
  float real_skip() const { return std::ldexp(static_cast<float>(skip_unit), -24); }
  int64_t skip_at(int64_t i) const { return skip.defined() ? Problem::at(skip, i) : 0; }
  GradientMask mask(bool strictly) const {
    return {real_unit, static_cast<double>(real_skip()), real_scale(), type, activation, rounding, strictly};
  }

  // Whether v / d is inside; v is six of the real 6.
  bool inside(Wide v, Wide d, Wide six, bool strictly) const {
    if (activation != Activation::none && v <= 0) return false;
    if (activation == Activation::relu6 && v >= six) return false;
    if (strictly) return v > type.low * d && v < type.high * d;
    Wide q = (2 * v + d) / (2 * d), rest = (2 * v + d) % (2 * d);
    if (rest < 0) --q, rest += 2 * d;
    if (rest == 0 && rounding == Rounding::half_to_even && q % 2 != 0) --q;
    return q >= type.low && q <= type.high;
  }
  bool passes(int64_t i, bool strictly) const {
    const auto c = static_cast<size_t>(i % acc.size(1));
    const Wide v = (Wide{acc.data<int32_t>()[i]} + by.bias[c]) * unit[c] + (Wide{skip_at(i)} * skip_unit << 24);
    return inside(v, Wide{scale} << 24, Wide{6} << 48, strictly);
  }
  bool passes_by_multiplier(int64_t i, bool strictly) const {
    const auto c = static_cast<size_t>(i % acc.size(1));
    const Rescaling& m = by.by[c];
    const Wide v = (Wide{acc.data<int32_t>()[i]} + by.bias[c]) * m.first + Wide{skip_at(i)} * m.second;
    return inside(v, Wide{1} << m.post, static_cast<Wide>(std::ldexp(6 / real_scale(), m.post)), strictly);
  }
};

const std::vector<Bounds> kBounds{{-128, 127}, {0, 127}, {0, 60}};

}  // namespace

TEST_SUITE("exact") {
  TEST_CASE("requantised tensors are those of the scalar datapath and of exact integers") {
    int64_t inside = 0, wrong = 0;
    const auto check_problem = [&](const Problem& p) {
      Tensor y = Tensor::empty(p.acc.shape(), storage_of(p.by.y));
      const Datapath& datapath = *March::nash.datapath;
      Requantizer(datapath, p.by).all(p.acc, p.skip, y);
      for (int64_t i = 0; i < y.elements(); ++i) {
        const auto c = static_cast<size_t>(i % p.acc.size(1));
        const int64_t acc = int64_t{p.acc.data<int32_t>()[i]} + p.by.bias[c], expected = p.expected(i);
        wrong += Problem::at(y, i) != expected;
        wrong += datapath.rescale(acc, p.skip_at(i), p.by.by[c], p.by.y) != expected;
        inside += expected > p.by.y.low && expected < p.by.y.high;
      }
    };
    for (int64_t channels = 1; channels <= 70; ++channels)
      for (const bool skips : {false, true})
        check_problem(
            {14, channels, kBounds[static_cast<size_t>(channels % 3)], skips, static_cast<uint64_t>(channels)});
    CHECK(inside > 20000);
    const Bounds wide[] = {{-32768, 32767}, {0, 32767}, {-32767, 32767}, {0, 20000}, {-128, 127}};
    for (const Bounds& bounds : wide)
      for (int64_t channels = 1; channels <= 40; channels += 3)
        for (const auto skip : {std::optional<DType>(), {DType::int8}, {DType::int16}})
          check_problem(
              {14, channels, bounds, skip.has_value(), static_cast<uint64_t>(channels), skip.value_or(DType::int8)});
    CHECK(wrong == 0);
    CHECK(inside > 30000);
  }

  TEST_CASE("the gradient passes where the real value rounds to within the type, inside of ReLU and ReLU6") {
    int64_t wrong = 0, passed = 0, total = 0, other_by_multiplier = 0;
    for (const Bounds& type : {Bounds{}, Bounds{0, 15}, Bounds{-127, 127}, Bounds{-32768, 32767}})
      for (int64_t channels = 1; channels <= 40; ++channels)
        for (const Rounding rounding : {Rounding::half_to_even, Rounding::half_up})
          for (const Activation activation : {Activation::none, Activation::relu, Activation::relu6})
            for (const auto skip : {std::optional<DType>(), {DType::int8}, {DType::int16}})
              for (const bool strictly : {false, true}) {
                const RealProblem p(5, channels, type, rounding, activation, skip, static_cast<uint64_t>(channels));
                Tensor y = Tensor::empty(p.acc.shape(), storage_of(type)), plain = Tensor::empty(y.shape(), y.dtype());
                Tensor mask = empty_mask(5, channels);
                const Requantizer requantizer(*March::nash.datapath, p.by);
                const GradientMask by = p.mask(strictly);
                requantizer.all(p.acc, p.skip, plain);
                requantizer.all(p.acc, p.skip, y, &by, &mask);
                CHECK_SAME(y, plain);
                for (int64_t i = 0; i < y.elements(); ++i) {
                  const bool passes = mask.at<uint8_t>({i / channels, i % channels / 8}) >> i % channels % 8 & 1;
                  wrong += passes != p.passes(i, strictly);
                  other_by_multiplier += p.passes(i, strictly) != p.passes_by_multiplier(i, strictly);
                  passed += passes;
                  ++total;
                }
              }
    CHECK(wrong == 0);
    CHECK(other_by_multiplier > total / 20);  // where acc m / 2^n would have it otherwise
    CHECK(passed > total / 10);
    CHECK(passed < total * 9 / 10);
  }
}

TEST_CASE("requantisation does not depend on threads, and takes an empty tensor") {
  const Problem p(4000, 17, {}, true, 3);
  const Requantizer requantizer(*March::nash.datapath, p.by);
  const int before = threads();
  Tensor one = Tensor::empty(p.acc.shape(), DType::int8), many = Tensor::empty(p.acc.shape(), DType::int8);
  set_threads(1);
  requantizer.all(p.acc, p.skip, one);
  for (const int count : {2, 3}) {
    set_threads(count);
    requantizer.all(p.acc, p.skip, many);
    CHECK_SAME(many, one);
  }
  set_threads(before);
  Tensor none = Tensor::empty({0, 17}, DType::int8);
  requantizer.all(Tensor::empty({0, 17}, DType::int32), {}, none);
  CHECK(none.elements() == 0);
}
