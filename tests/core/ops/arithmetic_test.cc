#include "../../../core/ops/arithmetic.h"

#include <cmath>

#include "../../../core/ops/exp.h"
#include "../../../core/ops/reduce.h"
#include "../../support.h"

using namespace sinter;

namespace {

Tensor add(const Tensor& a, const Tensor& b) { return a + b; }
Tensor sub(const Tensor& a, const Tensor& b) { return a - b; }
Tensor mul(const Tensor& a, const Tensor& b) { return a * b; }
Tensor div(const Tensor& a, const Tensor& b) { return a / b; }

Tensor least(const Tensor& a, const Tensor& b) { return minimum(a, b); }
Tensor most(const Tensor& a, const Tensor& b) { return maximum(a, b); }

struct Operation {
  std::string name;
  Tensor (*f)(const Tensor&, const Tensor&);
};
const std::vector<Operation> kOperations{{"add", add}, {"sub", sub},       {"mul", mul},
                                         {"div", div}, {"minimum", least}, {"maximum", most}};

}  // namespace

TEST_CASE("arithmetic computes what PyTorch's computes") {
  for (const Operation& operation : kOperations) {
    int cases = 0;
    for (const auto& c : test::golden("arithmetic")) {
      if (!c.name.starts_with(operation.name + " ")) continue;
      ++cases;
      CHECK_GOLDEN(c, operation.f);
    }
    CHECK(cases > 0);
  }
}

TEST_CASE("arithmetic's gradient is that of finite differences") {
  for (const Operation& operation : kOperations) {
    INFO(operation.name);
    const Tensor divisor = test::distinct({2, 1, 3}, 2, 0.3) * 2.0;  // at least 0.3 from zero
    CHECK_GRADIENT(operation.f, {test::distinct({2, 4, 3}, 5, 0.17), divisor},
                   {.step = 1e-3, .rtol = 2e-2, .atol = 1e-2});
    CHECK_GRADIENT(operation.f, {test::distinct({4, 1}, 5, 0.17), divisor}, {.step = 1e-3, .rtol = 2e-2, .atol = 1e-2});
    if (!operation.name.starts_with("m") || operation.name == "mul")
      CHECK_GRADIENT([&](const Tensor& x) { return operation.f(x, x); }, {divisor});
  }
}

TEST_CASE("numbers are tensors without axes") {
  const Tensor x = Tensor::from({3}, {1, -2, 4});
  CHECK_SAME(x + 1.5, Tensor::from({3}, {2.5, -0.5, 5.5}));
  CHECK_SAME(x - 1.5, Tensor::from({3}, {-0.5, -3.5, 2.5}));
  CHECK_SAME(x * 1.5, Tensor::from({3}, {1.5, -3, 6}));
  CHECK_SAME(x / 2.0, Tensor::from({3}, {0.5, -1, 2}));
  CHECK_SAME(1.5 + x, Tensor::from({3}, {2.5, -0.5, 5.5}));
  CHECK_SAME(1.5 - x, Tensor::from({3}, {0.5, 3.5, -2.5}));
  CHECK_SAME(1.5 * x, Tensor::from({3}, {1.5, -3, 6}));
  CHECK_SAME(2.0 / x, Tensor::from({3}, {2, -1, 0.5}));
  CHECK_SAME(-x, Tensor::from({3}, {-1, 2, -4}));
}

TEST_CASE("expressions with numbers have their gradient") {
  CHECK_GRADIENT([](const Tensor& x) { return 2.0 - (x * 3.0 + 1.0) / 4.0 - 1.0 / (x * x + 1.0) + -x; },
                 {test::normal({7})});
}

TEST_CASE("a temporary on the left lends its elements, other tensors keep theirs") {
  const Tensor x = Tensor::from({2}, {1, 2}), y = Tensor::from({2}, {3, 5});
  for (const Operation& operation : kOperations) operation.f(x, y);
  CHECK_SAME(x, Tensor::from({2}, {1, 2}));
  CHECK_SAME(y, Tensor::from({2}, {3, 5}));

  Tensor temporary = x.clone();
  const float* before = temporary.data<float>();
  const Tensor sum = std::move(temporary) + y;
  CHECK(sum.data<float>() == before);
  CHECK_SAME(sum, Tensor::from({2}, {4, 7}));

  const Tensor wider = x.clone() + Tensor::from({2, 1}, {10, 20});  // the result is larger than the temporary
  CHECK_SAME(wider, Tensor::from({2, 2}, {11, 12, 21, 22}));
}

TEST_CASE("a tensor that a gradient needs lends nothing") {
  Tensor x = Tensor::from({2}, {1, 2});
  x.set_requires_grad(true);
  Tensor y = x * x;  // keeps x
  const Tensor z = (std::move(y) + 1.0) * 2.0;
  z.backward(Tensor::ones({2}));
  CHECK_SAME(x.grad(), Tensor::from({2}, {4, 8}));
  CHECK_SAME(x, Tensor::from({2}, {1, 2}));
}

TEST_CASE("arithmetic does not depend on the number of threads") {
  for (const Operation& operation : kOperations) {
    CHECK_THREADS(operation.f, {test::normal({300, 300}), test::normal({300}, 2)});
    CHECK_THREADS(operation.f, {test::normal({300, 1}), test::normal({300}, 2)});
  }
}

TEST_CASE("arithmetic with an empty tensor is empty") {
  CHECK((Tensor::zeros({0, 3}) + Tensor::zeros({3})).shape() == Shape{0, 3});
  CHECK((Tensor::zeros({2, 0}) * Tensor::zeros({2, 1})).shape() == Shape{2, 0});
  Tensor bias = Tensor::zeros({3});
  bias.set_requires_grad(true);
  (Tensor::zeros({0, 3}) - bias).backward(Tensor::zeros({0, 3}));
  CHECK_CLOSE(bias.grad(), Tensor::zeros({3}));
}

TEST_CASE("arithmetic says what does not fit") {
  for (const Operation& operation : kOperations) {
    CHECK_ERROR(operation.f(Tensor::zeros({2, 3}), Tensor::zeros({2})),
                operation.name +
                    ": [2,3] and [2] do not broadcast, expected sizes that are equal or 1, counted from the last axis");
    CHECK_ERROR(operation.f(Tensor::zeros({2}), Tensor::zeros({2}, DType::int32)),
                operation.name + ": input 1 is int32 [2], expected float32");
    CHECK_ERROR(operation.f(Tensor::zeros({2}), Tensor()), operation.name + ": input 1 is an undefined tensor");
  }
  CHECK_ERROR(Tensor::zeros({0}) + Tensor::zeros({2}), "add: [0] and [2] do not broadcast");
}

TEST_CASE("the least and the largest with a number") {
  const Tensor x = Tensor::from({3}, {1, -2, 4});
  CHECK_SAME(minimum(x, 1.5), Tensor::from({3}, {1, -2, 1.5}));
  CHECK_SAME(maximum(x, 1.5), Tensor::from({3}, {1.5, 1.5, 4}));
}

TEST_CASE("+= and its siblings leave other handles what they had, and have their gradient") {
  Tensor x = Tensor::from({2}, {1, 2});
  const Tensor other = x;
  x += x;
  CHECK_SAME(x, Tensor::from({2}, {2, 4}));
  x -= 1;
  x *= Tensor::from({2}, {3, 2});
  x /= 2;
  CHECK_SAME(x, Tensor::from({2}, {1.5, 3}));
  CHECK_SAME(other, Tensor::from({2}, {1, 2}));
  CHECK_GRADIENT(
      [](const Tensor& v) {
        Tensor y = v * v;
        y += v;
        y *= y;
        y -= v;
        y /= 2;
        return y;
      },
      {test::normal({5})});
}

TEST_CASE("+= in a loop sums up, and gradients reach every term") {
  const Tensor x0 = test::normal({4, 3}, 1), w0 = test::normal({3}, 2);
  const auto run = [&](bool cumulative) {
    Tensor x = x0.clone().set_requires_grad(true), w = w0.clone().set_requires_grad(true);
    Tensor loss = Tensor::zeros({});
    if (cumulative)
      for (int64_t i = 1; i <= 5; ++i) loss += sum(x * w) * static_cast<double>(i);
    else
      loss = ((((loss + sum(x * w) * 1) + sum(x * w) * 2) + sum(x * w) * 3) + sum(x * w) * 4) + sum(x * w) * 5;
    loss.backward();
    return std::vector<Tensor>{loss.detach(), x.grad(), w.grad()};
  };
  const auto actual = run(true), expected = run(false);
  for (size_t i = 0; i < 3; ++i) CHECK_CLOSE(actual[i], expected[i]);
}

TEST_CASE("+= and the like leave alone what others hold, and what a gradient needs") {
  Tensor x = test::normal({2, 3}, 1).set_requires_grad(true);
  const Tensor before = x.clone();
  Tensor y = x, z = exp(x);  // exp keeps its result
  y += 1;                    // x is a leaf, and stays what it is
  z += z;
  z *= z;
  z -= y;
  z /= 2;
  CHECK_SAME(x, before);
  sum(z).backward();
  Tensor expected = Tensor::empty({2, 3});  // z = (4 e^2x - x - 1) / 2
  for (int64_t i = 0; i < 6; ++i) expected.mutable_data<float>()[i] = 4 * std::exp(2 * before.data<float>()[i]) - 0.5f;
  CHECK_CLOSE(x.grad(), expected, 1e-5, 1e-5);
}

TEST_CASE("a sum of very many terms neither recurses nor forgets") {
  Tensor x = Tensor::full({}, 1).set_requires_grad(true), loss = Tensor::zeros({});
  constexpr int64_t kTerms = 100000;
  for (int64_t i = 0; i < kTerms; ++i) loss += x;
  loss.backward();
  CHECK(loss.item() == kTerms);
  CHECK(x.grad().item() == kTerms);
}
