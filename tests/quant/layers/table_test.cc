#include "../../../quant/layers/table.h"

#include <cmath>

#include "../../../core/ops/abs.h"
#include "../../../core/ops/arithmetic.h"
#include "../../../core/ops/clamp.h"
#include "../../../core/ops/elu.h"
#include "../../../core/ops/exp.h"
#include "../../../core/ops/gelu.h"
#include "../../../core/ops/hardsigmoid.h"
#include "../../../core/ops/hardswish.h"
#include "../../../core/ops/leaky_relu.h"
#include "../../../core/ops/log.h"
#include "../../../core/ops/mish.h"
#include "../../../core/ops/pow.h"
#include "../../../core/ops/reciprocal.h"
#include "../../../core/ops/relu.h"
#include "../../../core/ops/rsqrt.h"
#include "../../../core/ops/sigmoid.h"
#include "../../../core/ops/silu.h"
#include "../../../core/ops/softplus.h"
#include "../../../core/ops/softsign.h"
#include "../../../core/ops/sqrt.h"
#include "../../../core/ops/tanh.h"
#include "../../../core/parallel.h"
#include "../one_layer.h"

using namespace sinter;
using namespace sinter::quant;
using namespace sinter::test;

namespace {

// The operations and what they compute in float.
template <class F>
void each_operation(const F& f) {
  f(ops::Sigmoid{});
  f(ops::Silu{});
  f(ops::Tanh{});
  f(ops::Hardsigmoid{});
  f(ops::Hardswish{});
  f(ops::LeakyRelu{{.negative_slope = 0.2}});
  f(ops::Hardsigmoid{{.slope = 0.2, .offset = 0.4}});
  f(ops::Exp{});
  f(ops::Abs{});
  f(ops::Gelu{});
  f(ops::Gelu{{.approximate = "tanh"}});
  f(ops::Elu{{.alpha = 0.7}});
  f(ops::Softplus{{.beta = 2}});
  f(ops::Softsign{});
  f(ops::Mish{});
  f(ops::Clamp{{.min = -0.4, .max = 7}});
  f(ops::Pow{{.exponent = 3}});
}

Grid grid(float scale, int bits, Bounds bounds) { return {scale, bounds, storage_of(type_bounds(bits)), bits}; }

}  // namespace

TEST_CASE("what a table holds is what the operation computes, more exactly") {
  Tensor x = Tensor::empty({2001});
  for (int64_t i = 0; i < 2001; ++i) x.mutable_data<float>()[i] = static_cast<float>(i - 1000) * 0.01f;
  each_operation([&](const auto& op) {
    CAPTURE(op.name());
    CHECK(table_function(op));
    Tensor expected = Tensor::empty(x.shape());
    for (int64_t i = 0; i < x.elements(); ++i)
      expected.mutable_data<float>()[i] = static_cast<float>(table_function(op)(x.data<float>()[i]));
    CHECK_CLOSE(call(op, x), expected, 1e-6, 1e-7);
  });
  CHECK_FALSE(table_function(ops::Relu{}));
}

TEST_CASE("functions that are not everywhere defined hold what they are, and 0 where they are not a number") {
  for (const auto& op : std::vector<std::shared_ptr<const Op>>{
           std::make_shared<ops::Log>(), std::make_shared<ops::Sqrt>(), std::make_shared<ops::Rsqrt>(),
           std::make_shared<ops::Reciprocal>(), std::make_shared<ops::Pow>(PowAttributes{.exponent = 0.3})}) {
    CAPTURE(op->name());
    Tensor x = Tensor::empty({127});
    for (int64_t i = 0; i < 127; ++i) x.mutable_data<float>()[i] = static_cast<float>(i + 1) * 0.05f;
    const Tensor y = call_all(op, {x})[0];
    const Tensor table = make_table(table_function(*op), grid(0.05f, 8, type_bounds(8)),
                                    grid(0.03f, 16, type_bounds(16)), Rounding::half_to_even);
    for (int64_t i = 0; i < 127; ++i) CHECK(std::abs(table.at<int16_t>({129 + i}) * 0.03f - y.at({i})) < 0.0151f);
    const int16_t below = table.at<int16_t>({0});
    CHECK((op->name() == "reciprocal" ? below < 0 : below == 0));
  }
}

TEST_CASE("arithmetic with one number is a table, with more it is none") {
  const Tensor three = Tensor::full({1}, 3), none, many = Tensor::full({2}, 3);
  const auto of = [](const auto& op, std::vector<Tensor> constants) { return table_function(op, constants); };
  CHECK(of(ops::Sub{}, {none, three})(5) == 2);
  CHECK(of(ops::Sub{}, {three, none})(5) == -2);
  CHECK(of(ops::Div{}, {three, none})(6) == 0.5);
  CHECK(of(ops::Mul{}, {none, three})(5) == 15);
  CHECK(of(ops::Add{}, {none, three})(5) == 8);
  CHECK(of(ops::Minimum{}, {none, three})(5) == 3);
  CHECK(of(ops::Maximum{}, {none, three})(5) == 5);
  CHECK_FALSE(of(ops::Add{}, {none, many}));
  CHECK_FALSE(of(ops::Add{}, {none, none}));
  CHECK_FALSE(of(ops::Add{}, {}));
}

TEST_CASE("a table is finite and saturated at its ends, and one entry for every integer of the type") {
  each_operation([](const auto& op) {
    CAPTURE(op.name());
    for (const int x_bits : {8, 16})
      for (const int y_bits : {8, 16})
        for (const float scale : {0x1p-23f, 0.01f, 3000.0f}) {
          const Bounds bounds{-100, 100};
          const Tensor table = make_table(table_function(op), grid(scale, x_bits, type_bounds(x_bits)),
                                          grid(scale, y_bits, bounds), Rounding::half_to_even);
          CHECK(table.spec() == Spec{y_bits == 16 ? DType::int16 : DType::int8, {x_bits == 16 ? 65536 : 256}});
          int64_t outside = 0;
          for (int64_t i = 0; i < table.elements(); ++i) {
            const int64_t v = y_bits == 16 ? table.data<int16_t>()[i] : table.data<int8_t>()[i];
            outside += v < -100 || v > 100;
          }
          CHECK(outside == 0);
        }
  });
}

TEST_CASE("ties of a table round as the march does") {
  // (x + 3) / 6 with scales of 2^-7: (q + 384) / 6 is a tie where q leaves 3 when divided by 6.
  const Grid x = grid(0x1p-7f, 8, type_bounds(8)), y = grid(0x1p-7f, 8, type_bounds(8));
  const ops::Hardsigmoid op;
  const Tensor even = make_table(table_function(op), x, y, Rounding::half_to_even),
               up = make_table(table_function(op), x, y, Rounding::half_up);
  for (const int q : {-15, -9, 3, 9, 15}) {
    const int twice = 2 * (q + 384) / 6;  // odd
    CHECK(up.at<int8_t>({128 + q}) == (twice + 1) / 2);
    CHECK(even.at<int8_t>({128 + q}) == ((twice - 1) / 2 % 2 == 0 ? (twice - 1) / 2 : (twice + 1) / 2));
  }
}

TEST_CASE("a table does not depend on threads") {
  const int before = threads();
  std::vector<Tensor> tables;
  const ops::Tanh tanh_op;
  for (const int count : {1, 3}) {
    set_threads(count);
    tables.push_back(make_table(table_function(tanh_op), grid(1e-4f, 16, type_bounds(16)),
                                grid(3e-5f, 16, type_bounds(16)), Rounding::half_to_even));
  }
  set_threads(before);
  CHECK_SAME(tables[0], tables[1]);
}

TEST_CASE("an operation of one value is a table of its values in double") {
  const auto hinge = [](double v) { return std::fmin(std::fmax(v + 3, 0), 6); };
  check_table([](const Tensor& x) { return sigmoid(x); }, [](double v) { return 1 / (1 + std::exp(-v)); });
  check_table([](const Tensor& x) { return silu(x); }, [](double v) { return v / (1 + std::exp(-v)); });
  check_table([](const Tensor& x) { return tanh(x); }, [](double v) { return std::tanh(v); });
  check_table([](const Tensor& x) { return hardsigmoid(x); }, [&](double v) { return hinge(v) / 6; });
  check_table([](const Tensor& x) { return hardswish(x); }, [&](double v) { return v * hinge(v) / 6; });
  check_table([](const Tensor& x) { return leaky_relu(x, {.negative_slope = 0.3}); },
              [](double v) { return v < 0 ? v * 0.3 : v; });
  check_table([](const Tensor& x) { return hardsigmoid(x, {.slope = 0.25, .offset = 0.75}); },
              [](double v) { return std::fmin(std::fmax(v + 3, 0), 4) / 4; });
  check_table([](const Tensor& x) { return exp(x); }, [](double v) { return std::exp(v); });
  check_table([](const Tensor& x) { return gelu(x); },
              [](double v) { return v * (1 + std::erf(v / std::sqrt(2.0))) / 2; });
  check_table([](const Tensor& x) { return clamp(x, {.min = -0.5, .max = 1.25}); },
              [](double v) { return std::fmin(std::fmax(v, -0.5), 1.25); });
  check_table([](const Tensor& x) { return square(x); }, [](double v) { return std::pow(v, 2.0); });
}

TEST_CASE("arithmetic with a number is a table, too") {
  check_table([](const Tensor& x) { return x * 1.5; }, [](double v) { return v * 1.5; });
  check_table([](const Tensor& x) { return 0.25 - x; }, [](double v) { return 0.25 - v; });
  check_table([](const Tensor& x) { return x + 1.0; }, [](double v) { return v + 1; });
  check_table([](const Tensor& x) { return x / 3.0; }, [](double v) { return v / 3; });
  check_table([](const Tensor& x) { return maximum(x, 0.3); }, [](double v) { return std::fmax(v, double{0.3f}); });
}

TEST_CASE("operations of one value and numbers that follow one another are one table, rounded once") {
  const auto hinge = [](double v) { return std::fmin(std::fmax(v + 3, 0), 6); };
  check_table([](const Tensor& x) { return maximum(leaky_relu(x, {.negative_slope = 0.3}), -0.4); },
              [](double v) { return std::fmax(v < 0 ? v * 0.3 : v, double{-0.4f}); });
  check_table([](const Tensor& x) { return hardswish(x) * 0.75 - 0.125; },
              [&](double v) { return v * hinge(v) / 6 * 0.75 - 0.125; });
  check_table([](const Tensor& x) { return relu(x * 0.5); }, [](double v) { return std::fmax(v * 0.5, 0); });
  // Spelled out, as exporters do: x is read twice.
  check_table([](const Tensor& x) { return x * sigmoid(x); }, [](double v) { return v * (1 / (1 + std::exp(-v))); });
  check_table([](const Tensor& x) { return x * relu6(x + 3.0) / 6.0; }, [&](double v) { return v * hinge(v) / 6; });
  check_table([](const Tensor& x) { return 0.5 * x * (1.0 + tanh((x + pow(x, 3.0) * 0.5) * 0.75)); },
              [](double v) { return 0.5 * v * (1 + std::tanh((v + std::pow(v, 3.0) * 0.5) * 0.75)); });
  check_table([](const Tensor& x) { return 1.0 / (exp(-x) + 1.0); },
              [](double v) { return 1 / (std::exp(v * -1) + 1); });
}

TEST_CASE("what the qconfigs tell apart is no chain") {
  const OneLayer net([](const Tensors& x) { return tanh(sigmoid(x[0] * 0.5)); });
  const Tensor x = Tensor::zeros({1, 2, 2, 3});
  const auto names = [&](const PrepareOptions& options) {
    std::vector<std::string> all;
    const auto model = prepare_qat(net, x, options);
    for (const Node& node : model.graph().nodes) all.push_back(node.name);
    return all;
  };
  using Names = std::vector<std::string>;
  CHECK(names({}) == Names{"tanh"});
  const auto model = prepare_qat(net, x);
  CHECK(model.graph().nodes[0].aliases == Names{"mul", "sigmoid"});
  CHECK(names({.by_path = {{"sigmoid", run_in_float()}}}) == Names{"mul", "sigmoid", "tanh"});
  CHECK(names({.by_type = {{"tanh", get_default_qconfig({.activation_observer = "mse"})}}}) ==
        Names{"sigmoid", "tanh"});
  CHECK(names({.by_path = {{"mul.activation", get_default_qconfig({.activation_observer = "mse"})}}}) ==
        Names{"mul", "tanh"});
  CHECK(names({.by_path = {{"tanh", get_default_qconfig({.activation_observer = "mse"})},
                           {"sigmoid", get_default_qconfig({.activation_observer = "mse"})}}}) ==
        Names{"mul", "sigmoid", "tanh"});
}
