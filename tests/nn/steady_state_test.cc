#include "../../core/fuse.h"
#include "../../core/onednn.h"
#include "../../core/ops/cross_entropy.h"
#include "../../core/ops/reduce.h"
#include "../../core/ops/relu.h"
#include "../../nn/layers/batch_norm2d.h"
#include "../../nn/layers/conv2d.h"
#include "../../nn/layers/linear.h"
#include "../../nn/models/resnet.h"
#include "../../nn/optim/sgd.h"
#include "../support.h"

using namespace sinter;

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
  const bool caches = test::allocator_caches();  // asked first, as it fetches memory itself
  const Net net;
  const Tensor x = test::normal({7, 18, 18, 3}), labels = Tensor::from({7}, std::vector<int64_t>{0, 1, 2, 3, 4, 0, 1});
  const std::vector<NamedParameter> parameters = net.parameters();
  optim::SGD optimizer({.lr = 0.05, .momentum = 0.9});
  const int64_t primitives_before = onednn::primitives_created();
  int64_t memory = 0, primitives = 0;
  float first_loss = 0, loss = 0;
  for (int step = 1; step <= 10; ++step) {
    const Tensor result = cross_entropy(net(x), labels);
    result.backward();
    optimizer.step(parameters);
    optim::zero_grad(parameters);
    loss = result.item();
    if (step == 1) first_loss = loss;
    if (step == 2) {
      memory = allocator_stats().system_allocations;
      primitives = onednn::primitives_created();
    }
  }
  CHECK(loss < first_loss);  // it does train
  CHECK(primitives > primitives_before);
  CHECK(onednn::primitives_created() == primitives);
  if (caches) CHECK(allocator_stats().system_allocations == memory);
}

TEST_CASE("a training step fetches no memory and makes no primitive once it has run") {
  const bool caches = test::allocator_caches();
  nn::CifarResNet model = nn::resnet20();
  const Shape images{6, 16, 16, 3};
  const Graph graph = fuse_batch_norm(trace(model, Specs{{DType::float32, images}}));
  const Tensor x = test::normal(images), labels = Tensor::arange(6, DType::int64);
  const std::vector<NamedParameter> parameters = model.parameters();
  optim::SGD optimizer({.lr = 0.01, .momentum = 0.9});
  const TrainingMode mode(true);
  int64_t memory = 0, primitives = 0;
  for (int step = 0; step < 10; ++step) {
    cross_entropy(graph(x), labels).backward();
    optimizer.step(parameters);
    optim::zero_grad(parameters);
    if (step < 2) {
      memory = allocator_stats().system_allocations;
      primitives = onednn::primitives_created();
    }
  }
  CHECK(primitives > 0);
  CHECK(onednn::primitives_created() == primitives);
  if (caches) CHECK(allocator_stats().system_allocations == memory);
}
