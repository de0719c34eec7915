#include "../../core/fuse.h"
#include "../../core/ops/reduce.h"
#include "../../core/ops/relu.h"
#include "../../nn/layers/batch_norm2d.h"
#include "../../nn/layers/conv2d.h"
#include "../../nn/layers/linear.h"
#include "../../nn/models/resnet.h"
#include "../support.h"
#include "training.h"

using namespace sinter;
using test::Batch;
using test::training;

namespace {

struct Net : nn::Module {
  nn::Conv2d first{{.in = 3, .out = 16, .kernel = 3, .padding = 1, .bias = false}};
  nn::BatchNorm2d bn{16};
  nn::Conv2d second{{.in = 16, .out = 24, .kernel = 3, .stride = 2, .padding = 1}};
  nn::Linear head{{.in = 24, .out = 5}};
  SINTER_CHILDREN(first, bn, second, head)
  Tensor forward(const Tensor& x) const override { return head(mean(relu(second(relu(bn(first(x))))), {1, 2})); }
};

}  // namespace

TEST_CASE("after two steps, training layer by layer fetches no memory and makes no primitive") {
  const Net net;
  const auto forward = [&](const Tensor& x) { return net(x); };
  const Batch batch(5), smaller(3);
  const Tensor untrained = net(batch.images).detach();
  CHECK_STEADY(training(forward, net.parameters(), {batch}));
  CHECK_STEADY(training(forward, net.parameters(), {batch, smaller}), {.warm_up = 4});
  CHECK(cross_entropy(net(batch.images), batch.labels).item() < cross_entropy(untrained, batch.labels).item());
}

TEST_CASE("after two steps, training a fused graph fetches no memory and makes no primitive") {
  nn::CifarResNet model = nn::resnet20();
  const Graph graph = fuse_batch_norm(trace(model, Specs{{DType::float32, {6, 16, 16, 3}}}));
  const auto forward = [&](const Tensor& x) { return graph(x); };
  CHECK_STEADY(training(forward, model.parameters(), {Batch(6)}));
  CHECK_STEADY(training(forward, model.parameters(), {Batch(6), Batch(4)}), {.warm_up = 4});
}
