#include "../../../core/ops/logistic.h"

#include <limits>

#include "../../support.h"

using namespace sinter;

namespace {

// In units of the last place of the float nearest to `expected`.
double error(float actual, double expected) {
  const double unit = std::ldexp(1.0, std::ilogb(static_cast<float>(expected)) - 23);
  return std::abs(actual - expected) / unit;
}

// Floats from -0 to where e^x is subnormal, evenly over their bits.
template <class F>
double worst(const F& f) {
  double largest = 0;
  constexpr uint32_t kLast = std::bit_cast<uint32_t>(87.33654f);
  for (uint32_t bits = 0; bits <= kLast; bits += 1009) largest = std::max(largest, f(-std::bit_cast<float>(bits)));
  return std::max(largest, f(-87.33654f));
}

}  // namespace

TEST_CASE("the exponential of what is not above 0 is right to the last place") {
  CHECK(worst([](float x) { return error(ops::exp_of_negative(x), std::exp(static_cast<double>(x))); }) < 1);
}

TEST_CASE("the logistic function is as precise on either side of 0") {
  const auto exact = [](float x) { return 1 / (1 + std::exp(-static_cast<double>(x))); };
  CHECK(worst([&](float x) { return error(ops::logistic(x), exact(x)); }) < 2.5);
  CHECK(worst([&](float x) { return error(ops::logistic(-x), exact(-x)); }) < 2.5);
}

TEST_CASE("far from 0 the logistic function is 0 or 1, and NaN stays NaN") {
  constexpr float kInfinity = std::numeric_limits<float>::infinity();
  CHECK(ops::exp_of_negative(-87.4f) == 0);
  CHECK(ops::exp_of_negative(-1e9f) == 0);
  CHECK(ops::exp_of_negative(-kInfinity) == 0);
  CHECK(ops::logistic(-kInfinity) == 0);
  CHECK(ops::logistic(-1e30f) == 0);
  CHECK(ops::logistic(1e30f) == 1);
  CHECK(ops::logistic(kInfinity) == 1);
  CHECK(std::isnan(ops::logistic(std::nanf(""))));
}
