#include "inverted_residual.h"

#include "../../core/ops/arithmetic.h"
#include "../../core/ops/relu6.h"

namespace sinter::nn {

InvertedResidual::InvertedResidual(InvertedResidualOptions o)
    : depthwise({.in = o.in * o.expansion,
                 .out = o.in * o.expansion,
                 .kernel = 3,
                 .stride = o.stride,
                 .padding = 1,
                 .groups = o.in * o.expansion,
                 .bias = false}),
      depthwise_bn(o.in * o.expansion),
      project({.in = o.in * o.expansion, .out = o.out, .kernel = 1, .bias = false}),
      project_bn(o.out),
      adds_(o.stride == 1 && o.in == o.out) {
  if (o.expansion == 1) return;
  expand.emplace(Conv2dOptions{.in = o.in, .out = o.in * o.expansion, .kernel = 1, .bias = false});
  expand_bn.emplace(o.in * o.expansion);
}

Tensor InvertedResidual::forward(const Tensor& x) const {
  Tensor y = expand ? relu6((*expand_bn)((*expand)(x))) : x;
  y = relu6(depthwise_bn(depthwise(y)));
  y = project_bn(project(y));
  return adds_ ? x + y : y;
}

}  // namespace sinter::nn
