#include "../../../bpu/witness/datapaths.h"

#include <algorithm>

#include "../../quant/datapath/cases.h"

using namespace sinter;
using namespace sinter::bpu;
using test::DatapathAnswer;
using test::DatapathCase;

namespace {

Value value(float scale, int bits) {
  const quant::Bounds bounds = quant::type_bounds(bits);
  return {.name = "",
          .shape = {},
          .dtype = bits > 8 ? DType::int16 : DType::int8,
          .scale = scale,
          .low = bounds.low,
          .high = bounds.high,
          .bits = bits};
}

witness::Rational exact(double ratio) {
  int exponent = 0;
  return {static_cast<int64_t>(std::ldexp(std::frexp(ratio, &exponent), 53)), 1, exponent - 53};
}

DatapathAnswer answer(const DatapathCase& c) {
  const witness::Datapath path(quant::March::named(c.march));
  const Value y = value(c.s_y, c.bits);
  DatapathAnswer found;
  if (c.kind == "rescale") {
    found.by = path.accumulator(exact(c.ratio), y);
  } else if (c.kind == "narrow") {
    // A value's scale is a float, the case's ratio is none.
    found.by = test::without_first_shift(path.accumulator(exact(c.ratio), y));
    const Value x = value(static_cast<float>(c.ratio), 8);
    check(path.narrow(x, y) == test::without_first_shift(path.accumulator(witness::exact(x.scale), y)),
          "narrow differs");
  } else if (c.kind == "conv") {
    found.by = path.residual(witness::exact(c.s_x) * witness::exact(c.s_w), value(c.s_skip, 8), y);
  } else {
    found.by = path.sum(witness::exact(c.s_1), witness::exact(c.s_2), c.kind == "sub", 8, y);
  }
  found.y = std::clamp<int64_t>(path.rescaled(c.a, c.b, found.by), y.low, y.high);
  return found;
}

}  // namespace

TEST_CASE("the witness's two_stage is that of the witness in Python") { test::check_golden_datapaths(answer); }

namespace {

using Numbers = std::vector<int64_t>;

Numbers rescaled(const witness::Datapath& path, const quant::Rescaling& by, const Numbers& a) {
  Numbers y;
  for (const int64_t v : a) y.push_back(path.rescaled(v, 0, by));
  return y;
}

}  // namespace

TEST_CASE("the witness's single datapath, by hand: one multiplier of 15 bits, one rounding, half to even") {
  const witness::Datapath path(quant::March::nash);
  const Value one = value(1, 8);
  // 1/2 = 2^14 / 2^15; 1.5 and -1.5 become even.
  quant::Rescaling by = path.accumulator(exact(0.5), one);
  CHECK(by.first == 16384);
  CHECK(by.post == 15);
  CHECK(rescaled(path, by, {1, 3, -1, -3, 5, 1000}) == Numbers{0, 2, 0, -2, 2, 500});
  // 1/3 is 21845 / 2^16, as 2^17 / 3 has 16 bits: a little less than it should be.
  by = path.mean(exact(1.0), 3, one);
  CHECK(by.first == 21845);
  CHECK(by.post == 16);
  CHECK(rescaled(path, by, {1, 2, -2, 300, 1 << 20}) == Numbers{0, 1, -1, 100, 349520});  // not 349525
  // 0.7 is 22938 / 2^15, a little more: 10.5 becomes 11.
  by = path.accumulator(exact(0.7), one);
  CHECK(by.first == 22938);
  CHECK(by.post == 15);
  CHECK(rescaled(path, by, {10, 5, 15, -15}) == Numbers{7, 4, 11, -11});
  // Both terms of a sum have one shift: 1/2 and 1/4 of y's unit.
  by = path.sum(exact(0.5), exact(0.25), true, 8, one);
  CHECK(by.first == 2 * -by.second);
  CHECK(path.rescaled(3, 2, by) == 1);  // 1.5 - 0.5
  CHECK(path.rescaled(3, 4, by) == 0);  // 1.5 - 1
  CHECK(path.rescaled(-3, 0, by) == -2);
  // A shift of at most 46, whose multiplier then is small.
  by = path.accumulator(exact(std::ldexp(1.0, -40)), one);
  CHECK(by.first == 64);
  CHECK(by.post == 46);
}

TEST_CASE("the witness's shift datapath, by hand: shifts that round half up, multipliers for means alone") {
  const witness::Datapath path(quant::March::bernoulli);
  const Value one = value(1, 8);
  quant::Rescaling by = path.accumulator(exact(0.125), one);
  CHECK(by.post == 3);
  CHECK(rescaled(path, by, {4, -4, 3, -5, 12, -12}) == Numbers{1, 0, 0, -1, 2, -1});
  CHECK(rescaled(path, path.accumulator(exact(4.0), one), {3, -3}) == Numbers{12, -12});
  // The finer of two scales is the unit: 2 a + b in halves.
  by = path.sum(exact(1.0), exact(0.5), false, 8, one);
  CHECK(by.first == 2);
  CHECK(by.second == 1);
  CHECK(by.post == 1);
  CHECK(path.rescaled(1, 1, by) == 2);
  CHECK(path.rescaled(1, -3, by) == 0);
  CHECK(path.rescaled(-2, 1, by) == -1);
  // A third is 21845 / 2^16.
  by = path.mean(exact(1.0), 3, one);
  CHECK(by.m == 21845);
  CHECK(by.post == 16);
  CHECK(rescaled(path, by, {1, 2, -2, 300}) == Numbers{0, 1, -1, 100});
  // A mean over 4 is a shift.
  CHECK(rescaled(path, path.mean(exact(1.0), 4, one), {2, -2, 6}) == Numbers{1, 0, 2});
}

TEST_SUITE("slow") {
  TEST_CASE("the witness's two_stage: 300,000 new cases of the witness in Python") {
    test::check_new_datapaths(answer);
  }
}
