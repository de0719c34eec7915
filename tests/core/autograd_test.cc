#include "../../core/autograd.h"

#include <thread>

#include "../../core/ops/arithmetic.h"
#include "../../core/ops/linear.h"
#include "../../core/ops/reduce.h"
#include "../../core/ops/relu.h"
#include "../support.h"

using namespace sinter;

namespace {

Tensor leaf(std::initializer_list<float> values) {
  return Tensor::from({static_cast<int64_t>(values.size())}, values).set_requires_grad(true);
}

// x and 2 x, as two outputs.
struct Both final : Op {
  std::string_view name() const override { return "both"; }
  Specs infer(std::span<const Spec> x) const override { return {x[0], x[0]}; }
  void forward(Inputs x, Outputs y, Context&) const override {
    y[0].copy_from(x[0]);
    y[1].copy_from(x[0] * 2.0);
  }
  void backward(const Context&, Outputs dy, Gradients& dx) const override { dx.set(0, dy[0] + dy[1] * 2.0); }
};

std::vector<Tensor> both(const Tensor& x) { return call_all(std::make_shared<const Both>(), {x}); }

// Runs f on a thread with the small stack that threads have on some systems.
void on_small_stack(void* (*f)(void*)) {
  pthread_attr_t attributes;
  pthread_attr_init(&attributes);
  pthread_attr_setstacksize(&attributes, 512 << 10);
  pthread_t thread;
  REQUIRE(pthread_create(&thread, &attributes, f, nullptr) == 0);
  pthread_join(thread, nullptr);
  pthread_attr_destroy(&attributes);
}

constexpr int kDeep = 100'000;

}  // namespace

TEST_CASE("a gradient flows to every leaf that wants one") {
  Tensor a = leaf({1, 2}), b = leaf({3, 4});
  const Tensor c = Tensor::from({2}, {5, 6});
  sum(a * b + c * a).backward();
  CHECK_SAME(a.grad(), Tensor::from({2}, {8, 10}));
  CHECK_SAME(b.grad(), Tensor::from({2}, {1, 2}));
  CHECK(!c.grad().defined());
}

TEST_CASE("gradients accumulate until they are cleared") {
  Tensor x = leaf({1, 2});
  sum(x * 3.0).backward();
  sum(x * 4.0).backward();
  CHECK_SAME(x.grad(), Tensor::full({2}, 7));
  x.set_grad({});
  sum(x).backward();
  CHECK_SAME(x.grad(), Tensor::ones({2}));
}

TEST_CASE("a gradient that a user holds is not changed by the next backward") {
  Tensor x = leaf({1, 2});
  sum(x).backward();
  const Tensor held = x.grad();
  sum(x).backward();
  CHECK_SAME(held, Tensor::ones({2}));
  CHECK_SAME(x.grad(), Tensor::full({2}, 2));
}

TEST_CASE("leaves never share one gradient's elements, nor the seed's") {
  Tensor a = leaf({1}), b = leaf({2});
  const Tensor seed = Tensor::ones({1});
  (a + b).backward(seed);
  CHECK(a.grad().data<float>() != b.grad().data<float>());
  CHECK(a.grad().data<float>() != seed.data<float>());
  CHECK(b.grad().data<float>() != seed.data<float>());
  a.backward(seed);
  CHECK(a.grad().item() == 2);
  CHECK(seed.item() == 1);
}

TEST_CASE("a second backward without retain is an error, with retain it accumulates") {
  Tensor x = leaf({2});
  const Tensor y = x * x;
  y.backward(true);
  y.backward();
  CHECK(x.grad().item() == 8);
  CHECK_ERROR(y.backward(), "backward: what mul kept was freed by an earlier backward; call backward(retain = true)");
  CHECK(x.grad().item() == 8);

  const Tensor shared = x * 3.0;
  sum(shared).backward();
  CHECK_ERROR(sum(shared * 2.0).backward(), "backward: what mul kept was freed by an earlier backward");
}

TEST_CASE("under no_grad nothing is recorded") {
  Tensor x = leaf({2});
  Tensor y;
  {
    const NoGrad no_grad;
    y = x * x;
  }
  CHECK(!y.requires_grad());
  CHECK_ERROR(y.backward(), "backward: the tensor depends on nothing that requires a gradient");
  bool other_thread = false;
  const NoGrad no_grad;
  std::thread([&] { other_thread = grad_enabled(); }).join();
  CHECK(other_thread);
}

TEST_CASE("a write to what backward needs is an error that names the operation") {
  Tensor x = leaf({1, 2});
  Tensor factor = Tensor::from({2}, {3, 4});
  Tensor y = sum(x * factor);
  factor.mutable_data<float>()[0] = 9;
  CHECK_ERROR(y.backward(), "backward: mul needs a float32 [2] that was overwritten after the forward pass");
  CHECK(!x.grad().defined());

  // copy_from is a write, an addition needs nothing, and what is written before the call does no harm.
  y = sum(x * factor);
  factor.copy_from(Tensor::ones({2}));
  CHECK_ERROR(y.backward(), "backward: mul needs a float32 [2]");
  y = sum(x + factor);
  factor.copy_from(Tensor::zeros({2}));
  CHECK_NOTHROW(y.backward());
}

TEST_CASE("a write to an alias of what backward needs is noticed too") {
  Tensor x = leaf({1, 2});
  const Tensor factor = Tensor::from({2}, {3, 4});
  Tensor alias = factor.detach();
  const Tensor y = sum(x * factor);
  alias.mutable_data<float>();
  CHECK_ERROR(y.backward(), "backward: mul needs a float32 [2]");
}

TEST_CASE("what is kept for backward is freed as soon as it was used") {
  constexpr int kLayers = 8;
  constexpr int64_t kBytes = int64_t{1} << 20;
  Tensor x = Tensor::ones({kBytes / 4}).set_requires_grad(true);
  const int64_t base = allocator_stats().live_bytes;
  Tensor y = x;
  for (int i = 0; i < kLayers; ++i) y = y * y;
  Tensor loss = sum(y);
  y = {};
  const int64_t kept = allocator_stats().live_bytes - base;
  CHECK(kept >= (kLayers - 1) * kBytes);
  CHECK(kept < (kLayers + 1) * kBytes);
  reset_peak_bytes();
  loss.backward();
  // Each layer's two gradients and their terms come while the layers above are gone: no more than a few at once.
  CHECK(allocator_stats().peak_bytes - base < kept + 4 * kBytes);
  // The loss lives on, but only the gradient is left of what it came from.
  CHECK(allocator_stats().live_bytes - base < kBytes + kBytes / 2);
  x.set_grad({});
  loss = {};
  CHECK(allocator_stats().live_bytes == base);
}

TEST_CASE("calls that are dropped without a backward free what they kept") {
  const int64_t base = allocator_stats().live_bytes;
  {
    Tensor x = leaf({1, 2});
    Tensor y = x * x;
    y = both(y * y)[1];
    x.set_grad(Tensor::ones({2}));
  }
  CHECK(allocator_stats().live_bytes == base);
}

TEST_CASE("diamonds: every path counts, and each call runs once") {
  Tensor x = leaf({3});
  const Tensor a = x * 2.0;
  const Tensor b = a * a;      // both operands are one tensor
  const Tensor c = a + b * a;  // a by three paths
  c.backward();
  CHECK(x.grad().item() == 2 + 24 * 9);  // c = 2 x + 8 x^3

  Tensor z = leaf({1});
  Tensor y = z;
  for (int i = 0; i < 30; ++i) y = y + y;  // 2^30 paths
  y.backward();
  CHECK(z.grad().item() == 0x1p30f);
}

TEST_CASE("several outputs: what is not used counts as zero") {
  Tensor x = leaf({5});
  both(x)[1].backward();
  CHECK(x.grad().item() == 2);
  x.set_grad({});
  const auto y = both(x);
  (y[0] + y[1] * 10.0).backward();
  CHECK(x.grad().item() == 21);
}

TEST_CASE("deep chains overflow no stack, in backward and when they are dropped") {
  on_small_stack([](void*) -> void* {
    for (const bool backward : {true, false}) {
      Tensor x = leaf({1});
      Tensor y = x;
      for (int i = 0; i < kDeep; ++i) y = y + 0.5;
      if (backward) {
        y.backward();
        CHECK(x.grad().item() == 1);
      }
    }
    return nullptr;
  });
}

TEST_CASE("deep diamonds overflow no stack either") {
  on_small_stack([](void*) -> void* {
    for (const bool backward : {true, false}) {
      Tensor x = leaf({1});
      Tensor y = x;
      for (int i = 0; i < kDeep / 5; ++i) y = y * 0.5 + y * 0.5;  // a residual block
      for (int i = 0; i < kDeep / 5; ++i) y = (y + y) * 0.5;      // one tensor twice
      if (backward) {
        y.backward();
        CHECK(x.grad().item() == 1);
      }
    }
    return nullptr;
  });
}

TEST_CASE("a seed has the tensor's shape and type; without one the tensor has one element") {
  Tensor x = leaf({1, 2});
  const Tensor y = x * x;
  CHECK_ERROR(y.backward(), "backward: tensor is [2]; one that has several elements needs a seed gradient");
  CHECK_ERROR(y.backward(Tensor::ones({1, 2})), "backward: seed is float32 [1,2], expected float32 [2]");
  CHECK_ERROR(y.backward(Tensor::ones({2}, DType::int32)), "backward: seed is int32 [2], expected float32 [2]");
  y.backward(Tensor::from({2}, {10, 100}));
  CHECK_SAME(x.grad(), Tensor::from({2}, {20, 400}));
  CHECK_ERROR(sum(x).backward(Tensor()), "backward: seed is an undefined tensor");
  CHECK_ERROR(Tensor::full({}, 1).set_requires_grad(true).backward(Tensor()), "backward: seed is an undefined tensor");
  CHECK_ERROR(Tensor().backward(), "backward: the tensor depends on nothing that requires a gradient");
  CHECK_ERROR(Tensor::ones({1}).backward(), "backward: the tensor depends on nothing that requires a gradient");
}

TEST_CASE("the seed and the gradients on the way are not overwritten") {
  Tensor x = leaf({-1, 2});
  const Tensor seed = Tensor::from({2}, {3, 4});
  relu(x).backward(seed);
  CHECK_SAME(seed, Tensor::from({2}, {3, 4}));
  CHECK_SAME(x.grad(), Tensor::from({2}, {0, 4}));

  // The addition hands one gradient on to both sides; the ReLU may not write its own into it.
  Tensor a = leaf({-1, 2}), b = leaf({1, 1});
  (relu(a) + b).backward(seed);
  CHECK_SAME(a.grad(), Tensor::from({2}, {0, 4}));
  CHECK_SAME(b.grad(), seed);
}

TEST_CASE("a leaf that needs no gradient gets none, and costs none") {
  Tensor x = leaf({1}), frozen = leaf({2});
  frozen.set_requires_grad(false);
  (x * frozen).backward();
  CHECK(x.grad().item() == 2);
  CHECK(!frozen.grad().defined());
}

TEST_CASE("two threads run backward through one parameter's model, each on its own leaves") {
  const Tensor weight = test::normal({16, 16});
  std::vector<Tensor> gradients(2);
  const auto work = [&](size_t i) {
    Tensor x = Tensor::ones({4, 16}).set_requires_grad(true);
    for (int k = 0; k < 20; ++k) {
      x.set_grad({});
      sum(relu(linear(x, weight))).backward();
    }
    gradients[i] = x.grad();
  };
  std::thread other([&] { work(1); });
  work(0);
  other.join();
  CHECK_SAME(gradients[1], gradients[0]);
}

TEST_CASE("a write through a pointer from before the forward pass is noticed, too") {
  Tensor x = leaf({1, 2}), factor = leaf({3, 4});
  float* early = factor.mutable_data<float>();
  early[1] = 5;
  Tensor y = sum(x * factor);
  y.backward();
  CHECK(x.grad().at({1}) == 5);

  y = sum(x * factor);
  early[0] = 9;
  CHECK_ERROR(y.backward(), "backward: mul needs a float32 [2] that was overwritten after the forward pass");
}
