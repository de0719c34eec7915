#include "preact_block.h"

#include "../../core/ops/arithmetic.h"
#include "../../core/ops/relu.h"

namespace sinter::nn {

PreActBlock::PreActBlock(PreActBlockOptions o)
    : conv1({.in = o.in, .out = o.out, .kernel = 3, .stride = o.stride, .padding = 1, .bias = false}),
      bn2(o.out),
      conv2({.in = o.out, .out = o.out, .kernel = 3, .padding = 1, .bias = false}) {
  if (!o.activated) bn1.emplace(o.in);
  if (o.in == o.out && o.stride == 1) return;
  shortcut.emplace(Conv2dOptions{.in = o.in, .out = o.out, .kernel = 1, .stride = o.stride, .bias = false});
}

Tensor PreActBlock::forward(const Tensor& x) const {
  const Tensor activated = bn1 ? relu((*bn1)(x)) : x;
  const Tensor y = conv2(relu(bn2(conv1(activated))));
  return y + (shortcut ? (*shortcut)(activated) : x);
}

}  // namespace sinter::nn
