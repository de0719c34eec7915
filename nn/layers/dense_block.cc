#include "dense_block.h"

#include "../../core/ops/avg_pool2d.h"
#include "../../core/ops/concat.h"
#include "../../core/ops/relu.h"

namespace sinter::nn {

DenseLayer::DenseLayer(DenseLayerOptions o)
    : bn(o.in), conv({.in = o.in, .out = o.growth, .kernel = 3, .padding = 1, .bias = false}) {}

Tensor DenseLayer::forward(const Tensor& x) const { return conv(relu(bn(x))); }

DenseBlock::DenseBlock(DenseBlockOptions o) {
  check(o.layers >= 1, "DenseBlock: it has ", o.layers, " layers, expected at least 1");
  for (int64_t i = 0; i < o.layers; ++i) layers.push_back({{.in = o.in + i * o.growth, .growth = o.growth}});
}

Tensor DenseBlock::forward(const Tensor& x) const {
  // All parts anew each time: in integers, what was concatenated before would be rescaled again by every layer.
  std::vector<Tensor> parts{x};
  Tensor all = x;
  for (const DenseLayer& layer : layers) {
    parts.push_back(layer(all));
    all = concat(parts);
  }
  return all;
}

DenseTransition::DenseTransition(DenseTransitionOptions o)
    : bn(o.in), conv({.in = o.in, .out = o.out, .kernel = 1, .bias = false}) {}

Tensor DenseTransition::forward(const Tensor& x) const {
  return avg_pool2d(conv(relu(bn(x))), {.kernel = 2, .stride = 2});
}

}  // namespace sinter::nn
