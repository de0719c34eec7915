#include "../../../core/ops/unary.h"

#include <limits>

#include "../../../core/ops/abs.h"
#include "../../../core/ops/arithmetic.h"
#include "../../../core/ops/clamp.h"
#include "../../../core/ops/elu.h"
#include "../../../core/ops/exp.h"
#include "../../../core/ops/gelu.h"
#include "../../../core/ops/log.h"
#include "../../../core/ops/mish.h"
#include "../../../core/ops/pow.h"
#include "../../../core/ops/reciprocal.h"
#include "../../../core/ops/rsqrt.h"
#include "../../../core/ops/softplus.h"
#include "../../../core/ops/softsign.h"
#include "../../../core/ops/sqrt.h"
#include "../../support.h"

using namespace sinter;
using test::GoldenCase;

namespace {

constexpr double kInfinity = std::numeric_limits<double>::infinity();

double bound(const GoldenCase& c, const std::string& name, double otherwise) {
  for (const Field& field : c.attributes)
    if (field.name == name) return c.attribute<double>(name);
  return otherwise;
}

// With the attributes of a golden case, or, where there is none, with some.
struct Function {
  std::string name;
  std::function<Tensor(const Tensor&, const GoldenCase*)> f;
  bool positive = false;  // defined there only
  int cases = 2;
};
const std::vector<Function> kFunctions{
    {"exp", [](const Tensor& x, const GoldenCase*) { return exp(x); }},
    {"log", [](const Tensor& x, const GoldenCase*) { return log(x); }, true},
    {"sqrt", [](const Tensor& x, const GoldenCase*) { return sqrt(x); }, true},
    {"rsqrt", [](const Tensor& x, const GoldenCase*) { return rsqrt(x); }, true},
    {"abs", [](const Tensor& x, const GoldenCase*) { return abs(x); }},
    {"reciprocal", [](const Tensor& x, const GoldenCase*) { return reciprocal(x); }, true},
    {"mish", [](const Tensor& x, const GoldenCase*) { return mish(x); }},
    {"softsign", [](const Tensor& x, const GoldenCase*) { return softsign(x); }},
    {"pow",
     [](const Tensor& x, const GoldenCase* c) { return pow(x, c != nullptr ? c->attribute<double>("exponent") : 1.7); },
     true, 24},
    {"elu",
     [](const Tensor& x, const GoldenCase* c) { return elu(x, {c != nullptr ? c->attribute<double>("alpha") : 0.5}); },
     false, 4},
    {"softplus",
     [](const Tensor& x, const GoldenCase* c) {
       return c != nullptr ? softplus(x, {c->attribute<double>("beta"), c->attribute<double>("threshold")})
                           : softplus(x);
     },
     false, 4},
    {"gelu",
     [](const Tensor& x, const GoldenCase* c) {
       return c != nullptr ? gelu(x, {c->attribute<std::string>("approximate")}) : gelu(x);
     },
     false, 4},
    {"clamp",
     [](const Tensor& x, const GoldenCase* c) {
       return c != nullptr ? clamp(x, {.min = bound(*c, "min", -kInfinity), .max = bound(*c, "max", kInfinity)})
                           : clamp(x, {.min = -0.96, .max = 1.52});
     },
     false, 6},
};

}  // namespace

TEST_CASE("functions of one number compute what PyTorch's compute") {
  const auto all = test::golden("unary");
  for (const Function& function : kFunctions) {
    int cases = 0;
    for (const auto& c : all) {
      if (c.name != function.name && !c.name.starts_with(function.name + " ")) continue;
      ++cases;
      CHECK_GOLDEN(c, [&](const Tensor& x) { return function.f(x, &c); });
    }
    CHECK_MESSAGE(cases == function.cases, function.name);
  }
}

TEST_CASE("the gradient of functions of one number is that of finite differences") {
  for (const Function& function : kFunctions) {
    INFO(function.name);
    const Tensor x = test::distinct({5, 9}, 1, 0.08);
    const auto f = [&](const Tensor& t) { return function.f(t, nullptr); };
    if (function.positive)
      CHECK_GRADIENT(f, {abs(x) + 0.5});
    else
      CHECK_GRADIENT(f, {x});
  }
}

TEST_CASE("functions of one number do not depend on the number of threads, and leave their input") {
  for (const Function& function : kFunctions) {
    INFO(function.name);
    const Tensor x = abs(test::normal({301, 299}, 1, 4)), before = x.clone();
    CHECK_THREADS([&](const Tensor& t) { return function.f(t, nullptr); }, {x});
    function.f(x, nullptr);
    CHECK_SAME(x, before);
  }
}

TEST_CASE("functions of one number take any shape, also an empty one, of float32") {
  for (const Function& function : kFunctions) {
    CHECK(function.f(Tensor::zeros({0, 3}), nullptr).shape() == Shape{0, 3});
    CHECK(function.f(Tensor::ones({}), nullptr).rank() == 0);
    CHECK_ERROR(function.f(Tensor::zeros({2}, DType::int8), nullptr),
                function.name + ": input 0 is int8 [2], expected float32");
  }
}

TEST_CASE("functions of one number refuse attributes that make no sense") {
  const Tensor x = Tensor::zeros({1});
  CHECK_ERROR(pow(x, kInfinity), "pow: exponent is inf, expected a finite number");
  CHECK_ERROR(elu(x, {.alpha = kInfinity}), "elu: alpha is inf, expected a finite number");
  CHECK_ERROR(softplus(x, {.beta = 0}), "softplus: beta is 0, expected above 0");
  CHECK_ERROR(gelu(x, {.approximate = "fast"}), "gelu: approximate is \"fast\", expected \"none\" or \"tanh\"");
  CHECK_ERROR(clamp(x, {.min = 1, .max = 0}), "clamp: min is 1 and max is 0, expected min <= max");
  CHECK_SAME(square(Tensor::from({2}, {-3, 2})), Tensor::from({2}, {9, 4}));
}
