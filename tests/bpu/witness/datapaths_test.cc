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

TEST_SUITE("slow") {
  TEST_CASE("the witness's two_stage: 300,000 new cases of the witness in Python") {
    test::check_new_datapaths(answer);
  }
}
