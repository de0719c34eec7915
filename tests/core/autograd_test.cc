#include "../../core/autograd.h"

#include "../../core/ops/arithmetic.h"
#include "../../core/ops/reduce.h"
#include "../../core/ops/relu.h"
#include "../../core/parameter.h"
#include "../support.h"

using namespace sinter;

namespace {
Tensor leaf(std::initializer_list<float> values) {
  Tensor t = Tensor::from({static_cast<int64_t>(values.size())}, values);
  t.set_requires_grad(true);
  return t;
}
}  // namespace

TEST_CASE("gradients accumulate until they are cleared, and belong to the leaf") {
  Tensor x = leaf({1, 2});
  sum(x * x).backward();
  CHECK_SAME(x.grad(), Tensor::from({2}, {2, 4}));
  sum(x * x).backward();
  CHECK_SAME(x.grad(), Tensor::from({2}, {4, 8}));
  x.set_grad({});
  CHECK(!x.grad().defined());
  sum(x + x).backward();
  CHECK_SAME(x.grad(), Tensor::from({2}, {2, 2}));
  CHECK_ERROR(x.set_grad(Tensor::zeros({3})), "set_grad: gradient is float32 [3], expected float32 [2]");
}

TEST_CASE("a value that is used twice gets both gradients") {
  Tensor x = leaf({3});
  const Tensor y = x * 2;
  (y * y + y).backward(Tensor::ones({1}));
  CHECK_SAME(x.grad(), Tensor::from({1}, {26}));  // 2 (2 y + 1)
}

TEST_CASE("a second backward needs the first to retain") {
  Tensor x = leaf({3});
  const Tensor y = sum(x * x);
  y.backward();
  CHECK_ERROR(y.backward(), "was freed by an earlier backward; call backward(retain = true) the first time");
  const Tensor z = sum(x * x);
  z.backward(true);
  z.backward();
  CHECK_SAME(x.grad(), Tensor::from({1}, {18}));
}

TEST_CASE("a value that backward needs and that was overwritten is an error that names the operation") {
  Tensor x = leaf({3}), w = leaf({2});
  const Tensor y = sum(x * w);
  w.mutable_data<float>()[0] = 5;
  CHECK_ERROR(y.backward(), "backward: mul needs a float32 [1] that was overwritten after the forward pass");
}

TEST_CASE("nothing is recorded without gradients") {
  Tensor x = leaf({3});
  {
    const NoGrad no_grad;
    CHECK(!(x * x).requires_grad());
  }
  CHECK((x * x).requires_grad());
  CHECK(!(x * x).detach().requires_grad());
  CHECK(!(Tensor::ones({1}) * 2).requires_grad());
  CHECK_ERROR(Tensor::ones({}).backward(), "backward: the tensor depends on nothing that requires a gradient");
}

TEST_CASE("seeds have the tensor's shape") {
  Tensor x = leaf({1, 2});
  CHECK_ERROR((x * x).backward(), "backward: tensor is [2]; one that has several elements needs a seed gradient");
  CHECK_ERROR((x * x).backward(Tensor::ones({3})), "backward: seed is float32 [3], expected float32 [2]");
  (x * x).backward(Tensor::from({2}, {1, 10}));
  CHECK_SAME(x.grad(), Tensor::from({2}, {2, 40}));
  Tensor y = x * x;
  CHECK_ERROR(y.set_requires_grad(true), "the tensor was made by an operation; detach() it first");
  CHECK_ERROR(Tensor::zeros({1}, DType::int8).set_requires_grad(true), "expected float32");
}

TEST_CASE("what backward kept is freed as it goes") {
  Tensor x = Tensor::ones({1 << 16});
  x.set_requires_grad(true);
  const int64_t before = allocator_stats().live_bytes;
  Tensor y = x;
  for (int i = 0; i < 8; ++i) y = y * y;
  const Tensor total = sum(y);
  y = {};
  const int64_t recorded = allocator_stats().live_bytes;
  CHECK(recorded - before > 7 * (int64_t{1} << 18));
  reset_peak_bytes();
  total.backward();
  CHECK(allocator_stats().peak_bytes < recorded + 4 * (int64_t{1} << 18));
  CHECK(allocator_stats().live_bytes < before + 2 * (int64_t{1} << 18));
}

TEST_CASE("a chain of a hundred thousand operations does not exhaust the stack") {
  Tensor x = leaf({1});
  Tensor y = x;
  for (int i = 0; i < 100000; ++i) y = y + 1;
  y.backward(Tensor::ones({1}));
  CHECK_SAME(x.grad(), Tensor::ones({1}));
  Tensor z = x;
  for (int i = 0; i < 100000; ++i) z = z + 1;  // taken apart without a backward
}

TEST_CASE("parameters copy their values, move their elements and share when asked to") {
  Parameter a(Tensor::from({2}, {1, 2}));
  CHECK(a.tensor().requires_grad());
  CHECK(!Parameter(Tensor::zeros({1}), false).tensor().requires_grad());
  const Parameter copy = a, shared = a.share();
  a.tensor().mutable_data<float>()[0] = 9;
  CHECK(copy.tensor().at({0}) == 1);
  CHECK(shared.tensor().at({0}) == 9);
  const float* elements = a.tensor().data<float>();
  Parameter moved = std::move(a);
  CHECK(moved.tensor().data<float>() == elements);
  moved = copy;  // into the elements that others share
  CHECK(shared.tensor().at({0}) == 1);
  moved = Parameter(Tensor::zeros({3}));
  CHECK(shared.tensor().shape() == Shape{2});
}
