#include "../../nn/freeze.h"

#include "../../core/ops/cross_entropy.h"
#include "../../core/ops/reduce.h"
#include "../../core/ops/relu.h"
#include "../../nn/layers/batch_norm2d.h"
#include "../../nn/layers/conv2d.h"
#include "../../nn/layers/linear.h"
#include "../../nn/layers/sequential.h"
#include "../../nn/optim/sgd.h"
#include "../support.h"

using namespace sinter;

namespace {

struct Net : nn::Module {
  nn::Sequential backbone{nn::Conv2d{{.in = 2, .out = 4, .kernel = 3}}, nn::BatchNorm2d{4}};
  nn::BatchNorm2d own{4};
  nn::Linear head{{.in = 4, .out = 3}};
  SINTER_CHILDREN(backbone, own, head)
  Tensor forward(const Tensor& x) const override { return head(mean(relu(own(backbone(x))), {1, 2})); }
};

// The names of what two steps of training change.
std::vector<std::string> changed_by_training(Net& net) {
  std::vector<Tensor> before;
  const auto state = net.named_state();
  for (const auto& p : state) before.push_back(p.value.tensor().detach().clone());
  optim::SGD optimizer{{.lr = 0.1, .momentum = 0.9, .weight_decay = 0.1}};
  const Tensor labels = Tensor::from({3}, std::vector<int64_t>{0, 1, 2});
  for (uint64_t i = 0; i < 2; ++i) {
    cross_entropy(net(test::normal({3, 5, 5, 2}, i)), labels).backward();
    optimizer.step(net.parameters());
    optim::zero_grad(net.parameters());
  }
  std::vector<std::string> changed;
  for (size_t i = 0; i < state.size(); ++i)
    if (!test::difference(state[i].value.tensor().detach(), before[i], 0, 0).empty()) changed.push_back(state[i].name);
  return changed;
}

}  // namespace

TEST_CASE("what is frozen keeps parameters and statistics in training, in copies too, until it is no longer") {
  const std::vector<std::string> rest{"own.weight",      "own.bias",    "own.running_mean",
                                      "own.running_var", "head.weight", "head.bias"};
  Net net;
  net(test::normal({3, 5, 5, 2}, 9)).backward(Tensor::ones({3, 3}));
  nn::freeze(net.backbone);  // an old gradient is gone
  CHECK(changed_by_training(net) == rest);
  Net copy = net;
  CHECK(changed_by_training(copy) == rest);
  nn::freeze(copy.backbone, false);
  CHECK(changed_by_training(copy).size() == net.named_state().size());
  CHECK(changed_by_training(net) == rest);
}
