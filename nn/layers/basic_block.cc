#include "basic_block.h"

#include "../../core/ops/arithmetic.h"
#include "../../core/ops/relu.h"

namespace sinter::nn {

Shortcut::Shortcut(ResidualOptions o) {
  if (o.in == o.out && o.stride == 1) return;
  conv.emplace(Conv2dOptions{.in = o.in, .out = o.out, .kernel = 1, .stride = o.stride, .bias = false});
  bn.emplace(o.out);
}

Tensor Shortcut::forward(const Tensor& x) const { return conv ? (*bn)((*conv)(x)) : x; }

BasicBlock::BasicBlock(ResidualOptions o)
    : conv1({.in = o.in, .out = o.out, .kernel = 3, .stride = o.stride, .padding = 1, .bias = false}),
      bn1(o.out),
      conv2({.in = o.out, .out = o.out, .kernel = 3, .padding = 1, .bias = false}),
      bn2(o.out),
      shortcut(o) {}

Tensor BasicBlock::forward(const Tensor& x) const {
  Tensor y = relu(bn1(conv1(x)));
  y = bn2(conv2(y));
  return relu(y + shortcut(x));
}

}  // namespace sinter::nn
