#include "inverted_residual.h"

#include "../../core/ops/arithmetic.h"

namespace sinter::nn {

namespace {

int64_t hidden(const InvertedResidualOptions& o) { return o.hidden.value_or(o.in * o.expansion); }

}  // namespace

InvertedResidual::InvertedResidual(InvertedResidualOptions o)
    : depthwise({.in = hidden(o),
                 .out = hidden(o),
                 .kernel = o.kernel,
                 .stride = o.stride,
                 .padding = o.kernel / 2,
                 .groups = hidden(o),
                 .bias = false}),
      depthwise_bn(hidden(o)),
      project({.in = hidden(o), .out = o.out, .kernel = 1, .bias = false}),
      project_bn(o.out),
      adds_(o.stride == 1 && o.in == o.out),
      activation_(std::move(o.activation)) {
  check(o.kernel % 2 == 1, "InvertedResidual: kernel is ", o.kernel, ", expected an odd number");
  check(activation_ != nullptr, "InvertedResidual: it has no activation, expected a function of one tensor");
  if (o.squeezed)
    squeeze_excite.emplace(SqueezeExciteOptions{.channels = hidden(o),
                                                .squeezed = *o.squeezed,
                                                .activation = std::move(o.squeeze_activation),
                                                .gate = std::move(o.gate)});
  if (hidden(o) == o.in) return;
  expand.emplace(Conv2dOptions{.in = o.in, .out = hidden(o), .kernel = 1, .bias = false});
  expand_bn.emplace(hidden(o));
}

Tensor InvertedResidual::forward(const Tensor& x) const {
  Tensor y = expand ? activation_((*expand_bn)((*expand)(x))) : x;
  y = activation_(depthwise_bn(depthwise(y)));
  if (squeeze_excite) y = (*squeeze_excite)(y);
  y = project_bn(project(y));
  return adds_ ? x + y : y;
}

}  // namespace sinter::nn
