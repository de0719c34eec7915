#include "../../core/parameter.h"

#include <cmath>

#include "../support.h"

using namespace sinter;

namespace {
Parameter ones() { return Parameter(Tensor::ones({2})); }
const float* address(const Parameter& p) { return p.tensor().data<float>(); }
}  // namespace

TEST_CASE("a parameter is trained, a buffer is not") {
  CHECK(ones().trained());
  CHECK(ones().tensor().requires_grad());
  const Parameter buffer(Tensor::zeros({2}, DType::int64), false);
  CHECK(!buffer.trained());
  CHECK(!buffer.tensor().requires_grad());
  CHECK(!Parameter().defined());
  CHECK(!Parameter(Parameter()).defined());
  CHECK_ERROR(Parameter(Tensor::zeros({2}, DType::int8)), "set_requires_grad: tensor is int8 [2], expected float32");
}

TEST_CASE("a copy has its own values, gradient and kind") {
  Parameter p = ones();
  p.tensor().set_grad(Tensor::ones({2}));
  Parameter copy = p;
  CHECK(address(copy) != address(p));
  CHECK_SAME(copy.tensor(), p.tensor());
  CHECK(copy.tensor().requires_grad());
  CHECK(!copy.tensor().grad().defined());
  copy.tensor().set_grad(Tensor::zeros({2}));
  CHECK(p.tensor().grad().at({0}) == 1);
  const Parameter buffer(Tensor::ones({1}), false);
  CHECK(!Parameter(buffer).trained());
  CHECK(!Parameter(buffer).tensor().requires_grad());
}

TEST_CASE("moving keeps the elements") {
  Parameter p = ones();
  const float* at = address(p);
  Parameter moved = std::move(p);
  CHECK(address(moved) == at);
  Parameter assigned;
  assigned = std::move(moved);
  CHECK(address(assigned) == at);
  CHECK(assigned.tensor().requires_grad());
}

TEST_CASE("an owner that shares sees every write and the gradient") {
  Parameter p = ones();
  Parameter shared = p.share();
  CHECK(address(shared) == address(p));
  shared.tensor().mutable_data<float>()[0] = 7;
  CHECK(p.tensor().at({0}) == 7);
  shared.tensor().set_grad(Tensor::ones({2}));
  CHECK(p.tensor().grad().defined());
  CHECK(!Parameter(Tensor::ones({1}), false).share().trained());
}

TEST_CASE("a weight decay of its own goes with copies, moves, assignments and shares") {
  Parameter p = ones();
  CHECK(!p.weight_decay());
  CHECK(p.set_weight_decay(0).weight_decay() == 0);
  CHECK(Parameter(p).weight_decay() == 0);
  CHECK(p.share().weight_decay() == 0);
  Parameter assigned = ones(), other_shape(Tensor::ones({3}));
  assigned = p;
  other_shape = p;
  CHECK(assigned.weight_decay() == 0);
  CHECK(other_shape.weight_decay() == 0);
  assigned = ones();
  CHECK(!assigned.weight_decay());
  const Parameter plain = ones();
  p = plain;
  CHECK(!p.weight_decay());
  p.set_weight_decay(0.5);
  CHECK(Parameter(std::move(p)).weight_decay() == 0.5);
  for (const double odd : {-1.0, double{NAN}, double{INFINITY}})
    CHECK_ERROR(plain.share().set_weight_decay(odd), text("parameter: weight_decay is ", odd, ", expected 0 or more"));
}

TEST_CASE("a minimum goes with copies, moves, assignments and shares") {
  Parameter p = ones();
  CHECK(!p.minimum());
  CHECK(p.set_minimum(0.5f).minimum() == 0.5f);
  CHECK(Parameter(p).minimum() == 0.5f);
  CHECK(p.share().minimum() == 0.5f);
  Parameter assigned = ones();
  assigned = p;
  CHECK(assigned.minimum() == 0.5f);
  CHECK(!p.set_minimum({}).minimum());
  CHECK_ERROR(p.set_minimum(NAN), "parameter: minimum is nan, expected finite");
}

TEST_CASE("assignment writes into the elements that others share, when the shape fits") {
  Parameter q = ones();
  const Parameter watcher = q.share();
  const Parameter threes(Tensor::full({2}, 3));
  q = threes;
  CHECK(address(q) == address(watcher));
  CHECK(watcher.tensor().at({1}) == 3);
  CHECK(address(q) != address(threes));
  q = *&q;
  CHECK(q.tensor().at({1}) == 3);

  const Parameter larger(Tensor::full({3}, 5));
  q = larger;
  CHECK(q.tensor().shape() == Shape{3});
  CHECK(address(q) != address(larger));
  CHECK(watcher.tensor().shape() == Shape{2});

  const Parameter buffer(Tensor::full({3}, 6), false);
  q = buffer;
  CHECK(!q.trained());
  CHECK(!q.tensor().requires_grad());
  const Parameter none;
  q = none;
  CHECK(!q.defined());
}

TEST_CASE("what is frozen is frozen in copies, shares and assignments") {
  Parameter p = ones();
  p.tensor().set_requires_grad(false);
  const auto frozen = [](const Parameter& q) { return q.trained() && !q.tensor().requires_grad(); };
  CHECK(frozen(Parameter(p)));
  CHECK(frozen(p.share()));
  Parameter same = ones(), other(Tensor::ones({5}));
  same = p;
  other = p;
  CHECK(frozen(same));
  CHECK(frozen(other));
  same = ones();
  CHECK(same.tensor().requires_grad());
  CHECK(frozen(std::vector<Parameter>(3, p)[2]));
  // Whoever shares it thaws with it, as with a parameter that was never frozen.
  Parameter copy = p;
  Parameter shared = copy.share();
  copy.tensor().set_requires_grad(true);
  CHECK(shared.tensor().requires_grad());
}
