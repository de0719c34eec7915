#include "separable_conv.h"

#include "../../core/ops/relu.h"

namespace sinter::nn {

SeparableConv::SeparableConv(SeparableConvOptions o)
    : depthwise(
          {.in = o.in, .out = o.in, .kernel = 3, .stride = o.stride, .padding = 1, .groups = o.in, .bias = false}),
      depthwise_bn(o.in),
      pointwise({.in = o.in, .out = o.out, .kernel = 1, .bias = false}),
      pointwise_bn(o.out) {}

Tensor SeparableConv::forward(const Tensor& x) const {
  const Tensor y = relu(depthwise_bn(depthwise(x)));
  return relu(pointwise_bn(pointwise(y)));
}

}  // namespace sinter::nn
