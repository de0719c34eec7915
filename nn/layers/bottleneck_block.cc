#include "bottleneck_block.h"

#include "../../core/ops/arithmetic.h"
#include "../../core/ops/relu.h"

namespace sinter::nn {

namespace {

constexpr int64_t kExpansion = 4;

int64_t narrow(int64_t out) {
  check(out % kExpansion == 0, "BottleneckBlock: it has ", out, " output channels, expected a multiple of ",
        kExpansion);
  return out / kExpansion;
}

}  // namespace

BottleneckBlock::BottleneckBlock(ResidualOptions o)
    : conv1({.in = o.in, .out = narrow(o.out), .kernel = 1, .bias = false}),
      bn1(narrow(o.out)),
      conv2({.in = narrow(o.out), .out = narrow(o.out), .kernel = 3, .stride = o.stride, .padding = 1, .bias = false}),
      bn2(narrow(o.out)),
      conv3({.in = narrow(o.out), .out = o.out, .kernel = 1, .bias = false}),
      bn3(o.out),
      shortcut(o) {}

Tensor BottleneckBlock::forward(const Tensor& x) const {
  Tensor y = relu(bn1(conv1(x)));
  y = relu(bn2(conv2(y)));
  y = bn3(conv3(y));
  return relu(y + shortcut(x));
}

}  // namespace sinter::nn
