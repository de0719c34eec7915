#include "../../core/format.h"

#include "../../core/error.h"
#include "../comma_locale.h"
#include "../support.h"

using namespace sinter;

TEST_CASE("numbers of tables are printf's in the C locale, in every locale") {
  const auto check_all = [] {
    CHECK(with_decimals(1234567.125, 2) == "1234567.12");
    CHECK(with_decimals(-0.5, 0) == "-0");
    CHECK(with_decimals(1e300, 1).size() == 303);
    CHECK(with_digits(0.00012345, 3) == "0.000123");
    CHECK(with_digits(1234567, 4) == "1.235e+06");
    CHECK(with_digits(0.5, 4) == "0.5");
    CHECK(text(1234567.5, " ", 1234567, " ", 0.1f) == "1234567.5 1234567 0.1");
  };
  check_all();
  const test::CommaLocale german;
  if (!german.complete()) MESSAGE("there is no locale with a decimal comma here for C's functions");
  check_all();
}
