#include "../../core/fuse.h"
#include "../../core/onednn.h"
#include "../../core/ops/cross_entropy.h"
#include "../../nn/models/resnet.h"
#include "../../nn/optim/sgd.h"
#include "../support.h"

using namespace sinter;

TEST_CASE("a training step fetches no memory and makes no primitive once it has run") {
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
  if (test::allocator_caches()) CHECK(allocator_stats().system_allocations == memory);
}
