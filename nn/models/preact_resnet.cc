#include "preact_resnet.h"

#include "../../core/ops/reduce.h"
#include "../../core/ops/relu.h"

namespace sinter::nn {

namespace {

std::vector<PreActBlock> stages(int64_t channels, const std::array<int64_t, 4>& blocks) {
  std::vector<PreActBlock> body;
  int64_t in = channels, out = channels;
  for (size_t stage = 0; stage < blocks.size(); ++stage) {
    check(blocks[stage] >= 1, "PreActResNet: a stage has ", blocks[stage], " blocks, expected at least 1");
    for (int64_t i = 0; i < blocks[stage]; ++i) {
      body.push_back({{.in = in, .out = out, .stride = stage > 0 && i == 0 ? 2 : 1, .activated = body.empty()}});
      in = out;
    }
    out *= 2;
  }
  return body;
}

Conv2dOptions stem_options(PreActStem stem, const PreActResNetOptions& o) {
  if (stem == PreActStem::cifar)
    return {.in = o.in_channels, .out = o.channels, .kernel = 3, .padding = 1, .bias = false};
  return {.in = o.in_channels, .out = o.channels, .kernel = 7, .stride = 2, .padding = 3, .bias = false};
}

}  // namespace

PreActResNet::PreActResNet(PreActStem kind, const std::array<int64_t, 4>& blocks, const PreActResNetOptions& o)
    : stem(stem_options(kind, o)),
      stem_bn(o.channels),
      body(stages(o.channels, blocks)),
      bn(8 * o.channels),
      head({.in = 8 * o.channels, .out = o.classes}) {
  if (kind == PreActStem::imagenet) pool.emplace(MaxPoolAttributes{.kernel = 3, .stride = 2, .padding = 1});
}

Tensor PreActResNet::forward(const Tensor& x) const {
  Tensor y = relu(stem_bn(stem(x)));
  if (pool) y = (*pool)(y);
  for (const auto& block : body) y = block(y);
  return head(mean(relu(bn(y)), {1, 2}));
}

PreActResNet preact_resnet18(const PreActResNetOptions& options) {
  return {PreActStem::imagenet, {2, 2, 2, 2}, options};
}
PreActResNet cifar_preact_resnet18(const PreActResNetOptions& options) {
  return {PreActStem::cifar, {2, 2, 2, 2}, options};
}

}  // namespace sinter::nn
