#include "../../../core/kernel/functions.h"

#include <bit>
#include <cmath>
#include <limits>

#include "../../../core/random.h"
#include "../../support.h"
#include "tables.h"

using namespace sinter;
using kernel::Function;
using kernel::Functions;

namespace {

constexpr float kInfinity = std::numeric_limits<float>::infinity();

std::vector<const Functions*> tables() {
  auto all = RUNNABLE_TABLES(Functions, kernel::functions);
  all.push_back(&kernel::functions_baseline);
  return all;
}

// Of both signs and every exponent, the subnormal ones as well, 65 mantissas each; then what is no number.
std::vector<float> all_exponents() {
  std::vector<float> x;
  for (uint32_t exponent = 0; exponent < 255; ++exponent)
    for (uint32_t i = 0; i <= 64; ++i) {
      const uint32_t mantissa = std::min<uint32_t>(i * 131071, (1 << 23) - 1);
      for (const uint32_t sign : {0u, 1u}) x.push_back(std::bit_cast<float>(sign << 31 | exponent << 23 | mantissa));
    }
  // Where the functions bend.
  for (int i = 0; i <= 60000; ++i) x.push_back(static_cast<float>(i - 30000) * 0.0037f);
  for (const float v : {kInfinity, -kInfinity, NAN, -NAN}) x.push_back(v);
  return x;
}

// In units of the last place of the float nearest to `expected`.
double error(float actual, double expected) {
  const auto nearest = static_cast<float>(expected);
  if (std::isnan(expected) || std::isinf(nearest))
    return std::isnan(expected) ? (std::isnan(actual) ? 0 : kInfinity) : actual == nearest ? 0 : kInfinity;
  const int last = nearest == 0 ? -149 : std::max(-149, std::ilogb(nearest) - 23);
  return std::abs(actual - expected) / std::ldexp(1.0, last);
}

double worst(const std::vector<float>& x, const std::vector<float>& y, double (*exact)(double)) {
  double largest = 0;
  for (size_t i = 0; i < x.size(); ++i) largest = std::max(largest, error(y[i], exact(static_cast<double>(x[i]))));
  return largest;
}

using Forward = void (*)(const float*, int64_t, float, float, float*);

std::vector<float> run(Forward f, const std::vector<float>& x, float a = 0, float b = 0) {
  std::vector<float> y(x.size());
  f(x.data(), static_cast<int64_t>(x.size()), a, b, y.data());
  return y;
}

bool same_bits(float a, float b) {
  return std::bit_cast<uint32_t>(a) == std::bit_cast<uint32_t>(b) || (std::isnan(a) && std::isnan(b));
}

int64_t different(const std::vector<float>& a, const std::vector<float>& b) {
  int64_t count = 0;
  for (size_t i = 0; i < a.size(); ++i) count += same_bits(a[i], b[i]) ? 0 : 1;
  return count;
}

double exact_logistic(double x) { return 1 / (1 + std::exp(-x)); }

std::vector<float> exponentials(const Functions& k, const std::vector<float>& x, float shift = 0) {
  std::vector<float> y(x.size());
  k.exponentials(x.data(), static_cast<int64_t>(x.size()), shift, y.data());
  return y;
}

constexpr Function Functions::*kAll[] = {
    &Functions::relu,        &Functions::relu6,    &Functions::leaky_relu, &Functions::sigmoid,   &Functions::tanh,
    &Functions::hardsigmoid, &Functions::silu,     &Functions::hardswish,  &Functions::mish,      &Functions::softsign,
    &Functions::elu,         &Functions::softplus, &Functions::gelu,       &Functions::gelu_tanh, &Functions::clamp,
    &Functions::exp,         &Functions::log,      &Functions::sqrt,       &Functions::rsqrt,     &Functions::abs,
    &Functions::reciprocal,  &Functions::pow};

}  // namespace

TEST_CASE("functions of one float are right to the last places at every exponent, and NaN stays NaN") {
  const auto x = all_exponents();
  for (const auto* k : tables()) {
    CHECK(worst(x, exponentials(*k, x), [](double v) { return std::exp(v); }) < 1);
    CHECK(worst(x, run(k->tanh.forward, x), [](double v) { return std::tanh(v); }) < 1.5);
    CHECK(worst(x, run(k->sigmoid.forward, x), exact_logistic) < 2.5);
    auto normal = x;  // where 1 / (1 + e^-x) is
    std::erase_if(normal, [](float v) { return v < -87; });
    CHECK(worst(normal, run(k->silu.forward, normal), [](double v) { return v / (1 + std::exp(-v)); }) < 3);
    const auto hinge = [](double v) { return v != v ? v : std::min(std::max(v + 3, 0.0), 6.0) / 6; };
    CHECK(worst({-kInfinity, -3, 0, 3, kInfinity, NAN},
                run(k->hardsigmoid.forward, {-kInfinity, -3, 0, 3, kInfinity, NAN}, 6, 3), hinge) == 0);
    CHECK(worst(x, run(k->exp.forward, x), [](double v) { return std::exp(v); }) < 1);
    CHECK(worst(x, run(k->log.forward, x), [](double v) { return std::log(v); }) < 1.5);
    CHECK(worst(x, run(k->elu.forward, x, 1), [](double v) { return v > 0 ? v : std::expm1(v); }) < 2);
    CHECK(worst(normal, run(k->gelu.forward, normal), [](double v) { return v * std::erfc(-v / std::sqrt(2)) / 2; }) <
          64);
    static double exponent;
    for (const float e : {0.5f, 2.0f, 3.0f, -1.0f, 1.0f, 0.0f, -0.5f, -2.0f, 0.75f, -1.5f, 5.0f, -7.0f, 2.2f, 30.25f}) {
      exponent = static_cast<double>(e);
      CAPTURE(exponent);
      auto finite = x;
      if (exponent == 0.5 || exponent == -0.5) std::erase_if(finite, [](float v) { return std::isinf(v) || v == 0; });
      CHECK(worst(finite, run(k->pow.forward, finite, e), [](double v) { return std::pow(v, exponent); }) < 2.5);
    }
    for (const auto f : kAll) {
      const auto y = run((k->*f).forward, {NAN, 1}, 2, 3);
      CHECK(std::isnan(y[0]));
      CHECK(!std::isnan(y[1]));
    }
  }
}

TEST_CASE("far from 0 the logistic function is 0 or 1, and below the least normal float not yet 0") {
  for (const auto* k : tables()) {
    const auto y = run(k->sigmoid.forward, {-kInfinity, -1e30f, 1e30f, kInfinity, -100, -kInfinity});
    CHECK(y[0] == 0);
    CHECK(y[1] == 0);
    CHECK(y[2] == 1);
    CHECK(y[3] == 1);
    CHECK(y[4] == 0x1.bp-145f);
    CHECK(exponentials(*k, {0})[0] == 1);
  }
}

TEST_CASE("a value has the same bits wherever it lies, on every instruction set, in place too") {
  const auto x = all_exponents();
  const auto count = static_cast<int64_t>(x.size());
  const float slope = 0.1f, b = 2;
  for (const auto f : kAll) {
    const auto expected = run((kernel::functions_baseline.*f).forward, x, slope, b);
    std::vector<float> gradient(x.size());
    (kernel::functions_baseline.*f).backward(expected.data(), x.data(), count, slope, b, gradient.data());
    for (const auto* k : tables()) {
      for (const int64_t first : {0, 1, 7, 13}) {
        std::vector<float> y(x.begin() + first, x.end()), kept(expected.begin() + first, expected.end()), g = y;
        (k->*f).forward(y.data(), count - first, slope, b, y.data());
        (k->*f).backward(kept.data(), g.data(), count - first, slope, b, g.data());
        CHECK(different(y, {expected.begin() + first, expected.end()}) == 0);
        CHECK(different(g, {gradient.begin() + first, gradient.end()}) == 0);
      }
      for (int64_t i = 0; i < count; i += 997) {
        float y = 0;
        (k->*f).forward(&x[static_cast<size_t>(i)], 1, slope, b, &y);
        CHECK(same_bits(y, expected[static_cast<size_t>(i)]));
      }
    }
  }
}

TEST_CASE("the sum of exponentials has the same bits on every instruction set") {
  for (const int64_t count : {0, 1, 15, 16, 17, 1000}) {
    const Tensor x = test::normal({count + 1});
    std::vector<float> expected(static_cast<size_t>(count)), y = expected;
    const double sum = kernel::functions_baseline.exponentials(x.data<float>(), count, 0.5f, expected.data());
    double plain = 0;
    for (const float e : expected) plain += static_cast<double>(e);
    CHECK(sum == doctest::Approx(plain));
    CHECK(kernel::functions_baseline.sum(expected.data(), count) == sum);
    const double dot = kernel::functions_baseline.dot(x.data<float>(), expected.data(), count);
    plain = 0;
    for (int64_t i = 0; i < count; ++i)
      plain += static_cast<double>(x.at({i})) * static_cast<double>(expected[static_cast<size_t>(i)]);
    CHECK(dot == doctest::Approx(plain));
    for (const auto* k : tables()) {
      CHECK(k->exponentials(x.data<float>(), count, 0.5f, y.data()) == sum);
      CHECK(different(y, expected) == 0);
      CHECK(k->dot(x.data<float>(), y.data(), count) == dot);
    }
  }
}

TEST_CASE("prelu and dropout do the same on every instruction set") {
  for (const int64_t count : {1, 15, 16, 17, 63, 64, 1000}) {
    const Tensor x = test::normal({count}, 1), w = test::normal({count}, 2), dy = test::normal({count}, 3);
    std::vector<uint8_t> stays;
    for (int64_t i = 0; i < count; ++i) stays.push_back(i % 3 == 0 ? 1 : 0);
    for (const auto* k : tables()) {
      Tensor y = x.clone(), dx = dy.clone(), dw = dy.clone(), dropped = x.clone();
      k->prelu(y.data<float>(), w.data<float>(), count, y.mutable_data<float>());
      k->prelu_backward(x.data<float>(), w.data<float>(), dx.data<float>(), count, dx.mutable_data<float>());
      k->prelu_weight(x.data<float>(), dw.data<float>(), count, dw.mutable_data<float>());
      k->dropout(stays.data(), dropped.data<float>(), count, 2, dropped.mutable_data<float>());
      int64_t wrong = 0;
      for (int64_t i = 0; i < count; ++i) {
        const float v = x.at({i}), slope = w.at({i}), g = dy.at({i});
        wrong += y.at({i}) != (v > 0 ? v : v * slope);
        wrong += dx.at({i}) != (v > 0 ? g : g * slope);
        wrong += dw.at({i}) != (v > 0 ? 0 : g * v);
        wrong += dropped.at({i}) != (i % 3 == 0 ? v * 2 : 0);
      }
      CHECK(wrong == 0);
    }
  }
}
