#include "../../core/error.h"

#include <cmath>
#include <limits>

#include "../../core/shape.h"
#include "../support.h"

using namespace sinter;

TEST_CASE("messages are made of parts") {
  CHECK(text() == "");
  CHECK(text("axis ", 2, " of ", Shape{3, 4}, ", ", DType::int8, '!') == "axis 2 of [3,4], int8!");
  CHECK(text(std::string("a"), std::string_view("b"), "c") == "abc");
  CHECK(text(true, " ", false) == "true false");
}

TEST_CASE("names are listed with commas between") {
  CHECK(joined({}) == "");
  CHECK(joined({"a"}) == "a");
  CHECK(joined({"a", "b", "c"}) == "a, b, c");
}

TEST_CASE("integers of every width print as numbers") {
  CHECK(text(int8_t{-128}, " ", uint8_t{255}, " ", int16_t{-7}) == "-128 255 -7");
  CHECK(text(std::numeric_limits<int64_t>::min()) == "-9223372036854775808");
  CHECK(text(std::numeric_limits<uint64_t>::max()) == "18446744073709551615");
}

TEST_CASE("real numbers print in their shortest form") {
  CHECK(text(0.1f) == "0.1");
  CHECK(text(0.1) == "0.1");
  CHECK(text(1.0 / 3) == "0.3333333333333333");
  CHECK(text(1.0f / 3) == "0.33333334");
  CHECK(text(static_cast<double>(0.1f)) == "0.1");  // a float, whatever holds it
  CHECK(text(0.1 + 0.2) == "0.30000000000000004");
  CHECK(text(-0.0) == "-0");
  CHECK(text(5.0) == "5");
  CHECK(text(1e300) == "1e+300");
  CHECK(text(std::numeric_limits<double>::max()) == "1.7976931348623157e+308");
  CHECK(text(INFINITY, " ", -INFINITY) == "inf -inf");
  CHECK(text(std::nan("")) == "nan");
}

TEST_CASE("a failed check throws its message, a passed one makes none") {
  CHECK_ERROR(fail("op: got ", 1, ", expected ", 2), "op: got 1, expected 2");
  CHECK_ERROR(check(false, "op: ", 3), "op: 3");

  int formatted = 0;
  struct Counted {
    int* count;
    operator std::string_view() const {
      ++*count;
      return "counted";
    }
  };
  check(true, Counted{&formatted});
  CHECK(formatted == 0);
  CHECK_ERROR(check(false, Counted{&formatted}), "counted");
  CHECK(formatted == 1);
  CHECK_THROWS_AS(fail("x"), std::runtime_error);
}
