#include "../../nn/freezing.h"

#include <thread>

#include "../../nn/layers/batch_norm2d.h"
#include "../support.h"

using namespace sinter;

TEST_CASE("freezing ends with its scope, adds to what is around it and is the thread's") {
  CHECK(nn::Freezing::now() == nn::Frozen{});
  {
    const nn::Freezing outer({.batch_norm = true});
    CHECK(nn::Freezing::now() == nn::Frozen{.batch_norm = true});
    {
      const nn::Freezing inner({.observers = true, .scales = true});
      CHECK(nn::Freezing::now() == nn::Frozen{.observers = true, .batch_norm = true, .scales = true});
    }
    std::thread([] { CHECK(nn::Freezing::now() == nn::Frozen{}); }).join();
    CHECK(nn::Freezing::now() == nn::Frozen{.batch_norm = true});
  }
  CHECK(nn::Freezing::now() == nn::Frozen{});
}

TEST_CASE("a frozen BatchNorm2d trains as it evaluates, by the thread's word or its own") {
  nn::BatchNorm2d bn(3);
  CHECK(bn.freezable() == nn::Frozen{.batch_norm = true});
  bn.running_mean.tensor().copy_from(test::normal({3}, 2));
  const nn::BatchNorm2d before = bn;
  const Tensor x = test::normal({4, 2, 2, 3});
  bn.eval();
  const Tensor evaluated = bn(x).detach();
  bn.train();
  {
    const nn::Freezing other({.observers = true, .scales = true});
    nn::BatchNorm2d moves = bn;
    CHECK(!test::difference(moves(x).detach(), evaluated, 0, 0).empty());
  }
  {
    const nn::Freezing freezing({.batch_norm = true});
    CHECK_SAME(bn(x).detach(), evaluated);
  }
  bn.attributes.frozen = true;
  CHECK_SAME(bn(x).detach(), evaluated);
  CHECK_SAME(bn.running_mean.tensor(), before.running_mean.tensor());
  CHECK_SAME(bn.running_var.tensor(), before.running_var.tensor());
  bn.attributes.frozen = false;
  CHECK(!test::difference(bn(x).detach(), evaluated, 0, 0).empty());
  CHECK(!test::difference(bn.running_mean, before.running_mean, 0, 0).empty());
}
