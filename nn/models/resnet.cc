#include "resnet.h"

#include <span>

#include "../../core/ops/reduce.h"
#include "../../core/ops/relu.h"

namespace sinter::nn {

namespace {

// Stages of blocks: the channels double and the image halves from one to the next.
std::vector<BasicBlock> stages(int64_t channels, std::span<const int64_t> blocks) {
  std::vector<BasicBlock> body;
  int64_t in = channels, out = channels;
  for (const int64_t count : blocks) {
    check(count >= 1, "ResNet: a stage has ", count, " blocks, expected at least 1");
    for (int64_t i = 0; i < count; ++i) {
      body.push_back({{.in = in, .out = out, .stride = in == out ? 1 : 2}});
      in = out;
    }
    out *= 2;
  }
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

ResNet::ResNet(const std::array<int64_t, 4>& blocks, const ResNetOptions& o)
    : stem({.in = o.in_channels, .out = 64, .kernel = 7, .stride = 2, .padding = 3, .bias = false}),
      bn(64),
      pool({.kernel = 3, .stride = 2, .padding = 1}),
      body(stages(64, blocks)),
      head({.in = 512, .out = o.classes}) {}

Tensor ResNet::forward(const Tensor& x) const {
  Tensor y = pool(relu(bn(stem(x))));
  for (const auto& block : body) y = block(y);
  return head(mean(y, {1, 2}));
}

ResNet resnet18(const ResNetOptions& options) { return {{2, 2, 2, 2}, options}; }

}  // namespace sinter::nn
