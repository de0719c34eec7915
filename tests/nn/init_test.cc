#include "../../nn/init.h"

#include <doctest/doctest.h>

#include <cmath>

#include "../../core/random.h"
#include "../../nn/layers/conv2d.h"
#include "../../nn/layers/linear.h"

using namespace sinter;
using doctest::Approx;

namespace {

struct Moments {
  double mean = 0, std = 0, largest = 0;
};

Moments moments(const Tensor& t) {
  Moments m;
  const auto count = static_cast<double>(t.elements());
  for (const float v : t.values<float>()) {
    m.mean += v / count;
    m.std += static_cast<double>(v) * v / count;
    m.largest = std::max(m.largest, std::abs(static_cast<double>(v)));
  }
  m.std = std::sqrt(std::max(0.0, m.std - m.mean * m.mean));
  return m;
}

}  // namespace

TEST_CASE("fans of OHWI and [out,in] weights are PyTorch's") {
  const auto conv = nn::init::fans({8, 3, 5, 4});
  CHECK(conv.in == 60);
  CHECK(conv.out == 120);
  const auto depthwise = nn::init::fans({16, 3, 3, 1});
  CHECK(depthwise.in == 9);
  CHECK(depthwise.out == 144);
  const auto linear = nn::init::fans({10, 7});
  CHECK(linear.in == 7);
  CHECK(linear.out == 10);
  CHECK_THROWS_WITH_AS(nn::init::fans({3}), "init: weight is [3], expected [out,in] or [out,kh,kw,in/groups]", Error);
}

TEST_CASE("initialisers have the standard deviation of their papers") {
  manual_seed(1);
  // 147456 values: the standard error of a standard deviation is 0.2 %, of a mean 0.003 standard deviations.
  Tensor w = Tensor::empty({64, 3, 3, 256});
  const double in = 9 * 256, out = 9 * 64;
  const auto has_std = [&](double expected) {
    const Moments m = moments(w);
    CHECK(m.std == Approx(expected).epsilon(0.01));
    CHECK(std::abs(m.mean) < 0.015 * expected);
    return m.largest / expected;
  };
  const auto is_normal = [](double largest) { CHECK(largest > 3.5); };
  const auto is_uniform = [](double largest) {
    CHECK(largest <= std::sqrt(3.0) * 1.000001);
    CHECK(largest > std::sqrt(3.0) * 0.999);
  };

  nn::init::kaiming_normal(w);
  is_normal(has_std(std::sqrt(2 / in)));
  nn::init::kaiming_normal(w, {.fan = nn::init::Fan::out});
  is_normal(has_std(std::sqrt(2 / out)));
  nn::init::kaiming_uniform(w, {.gain = 1});
  is_uniform(has_std(std::sqrt(1 / in)));
  nn::init::xavier_normal(w);
  is_normal(has_std(std::sqrt(2 / (in + out))));
  nn::init::xavier_uniform(w, {.gain = 3});
  is_uniform(has_std(3 * std::sqrt(2 / (in + out))));

  nn::init::constant(w, 0.25);
  CHECK(moments(w).largest == 0.25);
  CHECK(moments(w).std == 0);
}

TEST_CASE("layers start as documented") {
  manual_seed(2);
  const nn::Conv2d conv{{.in = 64, .out = 128, .kernel = 3}};
  CHECK(moments(conv.weight).std == Approx(std::sqrt(2.0 / (9 * 128))).epsilon(0.02));
  CHECK(moments(conv.bias).largest == 0);
  const nn::Linear linear{{.in = 400, .out = 300}};
  CHECK(moments(linear.weight).largest <= 0.05);
  CHECK(moments(linear.weight).std == Approx(0.05 / std::sqrt(3.0)).epsilon(0.02));
  CHECK(moments(linear.bias).largest <= 0.05);
  CHECK(moments(linear.bias).largest > 0.04);
}

TEST_CASE("the same seed gives the same layers, and the next layer others") {
  manual_seed(3);
  const nn::Linear a{{.in = 3, .out = 4}}, b{{.in = 3, .out = 4}};
  manual_seed(3);
  const nn::Linear again{{.in = 3, .out = 4}};
  const auto values = [](const nn::Linear& l) { return to_string(l.weight.tensor()) + to_string(l.bias.tensor()); };
  CHECK(values(a) == values(again));
  CHECK(values(a) != values(b));
}
