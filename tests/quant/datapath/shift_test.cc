#include "../../../quant/datapath/shift.h"

#include "../../../core/random.h"
#include "../../support.h"
#include "../plain.h"

using namespace sinter;
using namespace sinter::quant;

namespace {

Grid grid(int exponent, int bits = 8) {
  return {std::ldexp(1.0f, exponent), type_bounds(bits), bits > 8 ? DType::int16 : DType::int8, bits};
}

}  // namespace

TEST_CASE("accumulators are shifted, half up") {
  const Shift path;
  const Rescaling by = path.accumulator(0x1p-12, grid(-4));
  CHECK(by == Rescaling{1, 0, 0, 1, 8});
  CHECK(path.rescale(128, 0, by, {}) == 1);
  CHECK(path.rescale(127, 0, by, {}) == 0);
  CHECK(path.rescale(-128, 0, by, {}) == 0);
  CHECK(path.rescale(-129, 0, by, {}) == -1);
  CHECK(path.rescale(1 << 30, 0, by, {}) == 127);
  CHECK(path.accumulator(0x1p-4, grid(-4)) == Rescaling{});
  CHECK(path.accumulator(0x1p-4, grid(-6)) == Rescaling{1, 0, 0, 4, 0});  // to the left
  CHECK_ERROR(path.accumulator(0.3, grid(-4)), "0.3 is no power of two");
  CHECK_ERROR(path.accumulator(0x1p20, grid(-4)), "out of the datapath's reach");
}

TEST_CASE("operands are aligned by shifts, the coarser one to the left") {
  const Shift path;
  CHECK(path.sum(0x1p-4, 0x1p-6, 8, grid(-3)) == Rescaling{4, 1, 0, 1, 3});
  CHECK(path.sum(0x1p-6, 0x1p-4, 8, grid(-3)) == Rescaling{1, 4, 0, 1, 3});
  CHECK(path.sum(0x1p-4, -0x1p-6, 8, grid(-3)) == Rescaling{4, -1, 0, 1, 3});
  CHECK(path.residual(0x1p-14, grid(-4), grid(-3)) == Rescaling{1, 1 << 10, 0, 1, 11});
  CHECK_ERROR(path.sum(0x1p-40, 1, 8, grid(-3)), "too far apart to be aligned");
}

TEST_CASE("means that are no powers of two have a multiplier of 15 bits") {
  const Shift path;
  CHECK(path.mean(0x1p-4, 4, grid(-4)) == Rescaling{1, 0, 0, 1, 2});
  CHECK(path.mean(0x1p-4, 9, grid(-4)) == Rescaling{1, 0, 0, 29127, 18});  // 2^18 / 9 = 29127.1
  CHECK(path.mean(0x1p-4, 3, grid(-4)) == Rescaling{1, 0, 0, 21845, 16});  // 2^16 / 3 = 21845.3
}

TEST_CASE("its integers and outputs are those of exact integer arithmetic") {
  Random random(4);
  const Shift path;
  const test::plain::Path plain("bernoulli");
  int64_t wrong = 0;
  for (int i = 0; i < 20000; ++i) {
    const int bits = i % 3 == 0 ? 16 : 8;
    const Grid y = grid(-static_cast<int>(1 + random.below(14)), bits);
    const double a = std::ldexp(1.0, -static_cast<int>(1 + random.below(14))),
                 b = std::ldexp(i % 4 == 0 ? -1.0 : 1.0, -static_cast<int>(1 + random.below(14)));
    const double unit = a * std::fabs(b);
    const int64_t count = 1 + random.below(49), acc = random.below(1 << 20) - (1 << 19), q = random.below(256) - 128,
                  p = random.below(256) - 128;
    const auto same = [&](const Rescaling& by, const test::plain::By& expected, int64_t x, int64_t z) {
      wrong += !(by == Rescaling{expected.first, expected.second, expected.pre, static_cast<int32_t>(expected.m),
                                 expected.post});
      wrong += path.rescale(x, z, by, y.bounds) != plain.apply(expected, x, z, y.bounds.low, y.bounds.high);
    };
    same(path.accumulator(unit, y), plain.accumulator(unit, y.scale, bits), acc, 0);
    same(path.sum(a, b, 8, y), plain.sum(a, b, 128, y.scale, bits), p, q);
    same(path.mean(a, count, y), plain.mean(a, count, y.scale, bits), count * p, 0);
    same(path.residual(unit, grid(-3), y), plain.residual(unit, 0.125, 128, y.scale, bits), acc, q);
  }
  CHECK(wrong == 0);
}
