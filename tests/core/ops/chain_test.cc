#include "../../../core/ops/chain.h"

#include <cmath>

#include "../../../core/op_registry.h"
#include "../../../core/ops/arithmetic.h"
#include "../../../core/ops/leaky_relu.h"
#include "../../../core/ops/matmul.h"
#include "../../../core/ops/sigmoid.h"
#include "../../../core/ops/tanh.h"
#include "../../support.h"

using namespace sinter;
using ops::Chain;

namespace {

constexpr int64_t kX = Chain::kInput, kNumber = Chain::kNumber;

template <class O>
Chain::Step step(O op, std::vector<int64_t> operands, double number = 0) {
  return {std::make_shared<const O>(std::move(op)), std::move(operands), number};
}

// max(x sigmoid(x), -0.25) tanh(x)
Chain chain() {
  return Chain({step(ops::Sigmoid{}, {kX}), step(ops::Mul{}, {kX, 0}), step(ops::Maximum{}, {1, kNumber}, -0.25),
                step(ops::Tanh{}, {kX}), step(ops::Mul{}, {2, 3})});
}
Tensor spelled_out(const Tensor& x) { return maximum(x * sigmoid(x), -0.25) * tanh(x); }

}  // namespace

TEST_CASE("a chain is its steps one after another, with their gradient") {
  Tensor x = test::normal({3, 5, 2}, 1), same = x.clone();
  x.set_requires_grad(true);
  same.set_requires_grad(true);
  const Tensor y = call(chain(), x), expected = spelled_out(same);
  CHECK_SAME(y.detach(), expected.detach());
  const Tensor dy = test::normal(y.shape(), 2);
  y.backward(dy);
  expected.backward(dy);
  CHECK_CLOSE(x.grad(), same.grad(), 1e-6, 1e-6);
  CHECK_GRADIENT([](const Tensor& in) { return call(chain(), in); }, {test::normal({4, 3}, 3)});
  CHECK(call(chain(), Tensor::zeros({0, 3})).shape() == Shape{0, 3});
}

TEST_CASE("a chain is a function of one number in double") {
  for (const double v : {-3.0, -0.5, 0.0, 1.25})
    CHECK(chain().at(v) == std::fmax(v * (1 / (1 + std::exp(-v))), -0.25) * std::tanh(v));
  CHECK(std::isnan(chain().at(NAN)));
  CHECK(Chain({step(ops::Div{}, {kNumber, kX}, 2)}).at(8) == 0.25);
}

TEST_CASE("a chain comes back from its attributes") {
  const Chain saved({step(ops::LeakyRelu{{.negative_slope = 0.3}}, {kX}), step(ops::Sub{}, {kNumber, 0}, 0.5)});
  const std::vector<Field> fields = saved.fields();
  const auto loaded = make_op("chain", fields);
  CHECK(loaded->fields() == fields);
  CHECK(dynamic_cast<const Chain&>(*loaded).at(-2) == 0.5 - -2 * 0.3);
  check_can_be_made(saved);

  const auto changed = [&](const std::string& name, const Field::Value& value) {
    std::vector<Field> other = fields;
    for (Field& field : other)
      if (field.name == name) field.value = value;
    return make_op("chain", other);
  };
  using List = std::vector<int64_t>;
  CHECK_ERROR(make_op("chain", {}), "chain: there are no steps");
  CHECK_ERROR(changed("0.op", std::string("conv2d")), "operation 'conv2d' has no attribute negative_slope");
  CHECK_ERROR(changed("1.op", std::string("matmul")), "chain: step 1 is matmul of 2 operands, expected a function");
  CHECK_ERROR(changed("1.op", std::string("chain")), "chain: step 1 is another chain");
  CHECK_ERROR(changed("1.operands", List{-2}), "chain: step 1 is sub of 1 operands");
  CHECK_ERROR(changed("0.operands", List{0}), "chain: step 0 reads 0, expected an earlier step");
  CHECK_ERROR(changed("1.operands", List{-3, 0}), "chain: step 1 reads -3");
  CHECK_ERROR(changed("1.number", 0.1), "chain: the number of step 1, 0.1, is no float32");
  for (const char* name : {"2op", "x.op", "01.op", ".op", "-1.op"})
    CHECK_ERROR(make_op("chain", std::vector<Field>{{name, std::string("tanh")}}), "' is no attribute of a step");
  CHECK_ERROR(make_op("chain", std::vector<Field>{{"1.op", std::string("tanh")}, {"1.operands", List{-1}}}),
              "chain: there is no step 0");
}

TEST_CASE("a chain of two tensors, or of integers, is refused") {
  CHECK_ERROR(call(chain(), Tensor::zeros({2}), Tensor::zeros({2})), "chain: ");
  CHECK_ERROR(call(chain(), Tensor::zeros({2}, DType::int64)), "chain: ");
}
