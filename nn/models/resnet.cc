#include "resnet.h"

#include <span>

#include "../../core/ops/reduce.h"
#include "../../core/ops/relu.h"

namespace sinter::nn {

namespace {

// f(options of a block) for all blocks of stages with so many each: from one stage to the next the channels double and
// the image halves. `in` channels enter the first stage, `out` leave it.
template <class F>
void each_block(int64_t in, int64_t out, std::span<const int64_t> blocks, const F& f) {
  for (size_t stage = 0; stage < blocks.size(); ++stage) {
    check(blocks[stage] >= 1, "ResNet: a stage has ", blocks[stage], " blocks, expected at least 1");
    for (int64_t i = 0; i < blocks[stage]; ++i) {
      f(ResidualOptions{.in = in, .out = out, .stride = stage > 0 && i == 0 ? 2 : 1});
      in = out;
    }
    out *= 2;
  }
}

std::vector<BasicBlock> stages(int64_t channels, std::span<const int64_t> blocks) {
  std::vector<BasicBlock> body;
  each_block(channels, channels, blocks, [&](const ResidualOptions& o) { body.push_back({o}); });
  return body;
}

Sequential stages(ResNetBlock block, std::span<const int64_t> blocks) {
  Sequential body;
  if (block == ResNetBlock::basic)
    each_block(64, 64, blocks, [&](const ResidualOptions& o) { body.add(BasicBlock(o)); });
  else
    each_block(64, 256, blocks, [&](const ResidualOptions& o) { body.add(BottleneckBlock(o)); });
  return body;
}

}  // namespace

CifarResNet::CifarResNet(int64_t blocks, const CifarResNetOptions& o)
    : stem({.in = o.in_channels, .out = o.channels, .kernel = 3, .padding = 1, .bias = false}),
      bn(o.channels),
      body(stages(o.channels, std::array{blocks, blocks, blocks})),
      head({.in = 4 * o.channels, .out = o.classes}) {}

Tensor CifarResNet::forward(const Tensor& x) const {
  Tensor y = relu(bn(stem(x)));
  for (const auto& block : body) y = block(y);
  return head(mean(y, {1, 2}));
}

CifarResNet resnet20(const CifarResNetOptions& options) { return {3, options}; }
CifarResNet resnet32(const CifarResNetOptions& options) { return {5, options}; }
CifarResNet resnet56(const CifarResNetOptions& options) { return {9, options}; }

ResNet::ResNet(ResNetBlock block, const std::array<int64_t, 4>& blocks, const ResNetOptions& o)
    : stem({.in = o.in_channels, .out = 64, .kernel = 7, .stride = 2, .padding = 3, .bias = false}),
      bn(64),
      pool({.kernel = 3, .stride = 2, .padding = 1}),
      body(stages(block, blocks)),
      head({.in = block == ResNetBlock::basic ? 512 : 2048, .out = o.classes}) {}

Tensor ResNet::forward(const Tensor& x) const { return head(mean(body(pool(relu(bn(stem(x))))), {1, 2})); }

ResNet resnet18(const ResNetOptions& options) { return {ResNetBlock::basic, {2, 2, 2, 2}, options}; }
ResNet resnet50(const ResNetOptions& options) { return {ResNetBlock::bottleneck, {3, 4, 6, 3}, options}; }

}  // namespace sinter::nn
