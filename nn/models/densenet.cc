#include "densenet.h"

#include "../../core/ops/reduce.h"
#include "../../core/ops/relu.h"

namespace sinter::nn {

namespace {

constexpr int64_t kBlocks = 3;

// Before a block, all before it done.
int64_t channels(int64_t block, int64_t layers, const CifarDenseNetOptions& o) {
  return o.channels + block * layers * o.growth;
}

}  // namespace

CifarDenseNet::CifarDenseNet(int64_t layers, const CifarDenseNetOptions& o)
    : stem({.in = o.in_channels, .out = o.channels, .kernel = 3, .padding = 1, .bias = false}),
      bn(channels(kBlocks, layers, o)),
      head({.in = channels(kBlocks, layers, o), .out = o.classes}) {
  for (int64_t i = 0; i < kBlocks; ++i) {
    const int64_t in = channels(i, layers, o), out = channels(i + 1, layers, o);
    body.push_back({{.in = in, .growth = o.growth, .layers = layers}});
    if (i + 1 < kBlocks) transitions.push_back({{.in = out, .out = out}});
  }
}

Tensor CifarDenseNet::forward(const Tensor& x) const {
  Tensor y = stem(x);
  for (size_t i = 0; i < body.size(); ++i) {
    y = body[i](y);
    if (i < transitions.size()) y = transitions[i](y);
  }
  return head(mean(relu(bn(y)), {1, 2}));
}

CifarDenseNet densenet40(const CifarDenseNetOptions& options) { return {12, options}; }

}  // namespace sinter::nn
