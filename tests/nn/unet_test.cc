#include "../../nn/models/unet.h"

#include <doctest/doctest.h>

#include "../../core/fuse.h"
#include "../../core/ops/cross_entropy.h"
#include "../../core/random.h"
#include "../../nn/fit.h"
#include "../../nn/optim/sgd.h"
#include "../support.h"

using namespace sinter;

namespace {

nn::UNetOptions small() { return {.classes = 3, .channels = {4, 8, 16}, .up = {"bilinear", "transposed"}}; }

}  // namespace

TEST_CASE("a U-Net gives a logit of every class for every pixel, whatever the image's size") {
  manual_seed(1);
  const nn::UNet net(small());
  CHECK(net(Tensor::zeros({2, 8, 12, 1})).shape() == Shape{2, 8, 12, 3});
  CHECK(net(Tensor::zeros({1, 16, 4, 1})).shape() == Shape{1, 16, 4, 3});
  CHECK_THROWS_WITH_AS(net(Tensor::zeros({1, 8, 10, 1})),
                       "UNet: images are [1,8,10,1], expected [N,H,W,C] with H and W multiples of 4", Error);
  CHECK_THROWS_AS(nn::UNet({.channels = {4, 8}, .up = {}}), Error);
  CHECK_THROWS_AS(nn::UNet({.channels = {}, .up = {}}), Error);
  CHECK_THROWS_AS(nn::UNet({.channels = {4, 8}, .up = {"nearest"}}), Error);
}

TEST_CASE("a U-Net has the parameters of its convolutions and of their batch normalisation") {
  int64_t count = 0;
  for (const auto& parameter : nn::UNet(small()).parameters()) count += parameter.value.tensor().elements();
  const auto two = [](int64_t in, int64_t out) { return 9 * out * (in + out) + 4 * out; };
  CHECK(count ==
        two(1, 4) + two(4, 8) + two(8, 16) + (4 * 16 * 8 + 16 + two(16, 8)) + (8 * 4 + 8 + two(8, 4)) + (3 * 4 + 3));
}

TEST_CASE("a U-Net learns which pixels are bright, and its fused graph has the same bits") {
  manual_seed(2);
  nn::UNet net(small());
  Random random(3);
  const Tensor x = Tensor::normal({4, 16, 16, 1}, random);
  Tensor mask = Tensor::empty({4, 16, 16}, DType::int64);
  for (int64_t i = 0; i < mask.elements(); ++i) {
    const float v = x.data<float>()[i];
    mask.mutable_data<int64_t>()[i] = v < -0.5f ? 0 : v < 0.5f ? 1 : 2;
  }
  const Graph fused = fuse_batch_norm(trace(net, Specs{x.spec()}));
  const TrainingMode mode(true);
  optim::SGD sgd({.lr = 0.1, .momentum = 0.9});
  float first = 0, last = 0;
  for (int step = 0; step < 120; ++step) {
    const Tensor logits = net(x);
    if (step == 0) CHECK_SAME(fused(x), logits);
    const Tensor loss = cross_entropy(logits, mask);
    last = loss.item();
    if (step == 0) first = last;
    loss.backward();
    sgd.step(net.parameters());
    optim::zero_grad(net.parameters());
  }
  CHECK(first > 0.9f);
  CHECK(last < 0.25f);
}
