#include "squeeze_excite.h"

#include "../../core/ops/arithmetic.h"
#include "../../core/ops/hardsigmoid.h"
#include "../../core/ops/reduce.h"

namespace sinter::nn {

SqueezeExcite::SqueezeExcite(SqueezeExciteOptions o)
    : squeeze({.in = o.channels, .out = o.squeezed, .kernel = 1}),
      excite({.in = o.squeezed, .out = o.channels, .kernel = 1}),
      activation_(std::move(o.activation)),
      gate_(std::move(o.gate)) {
  check(activation_ != nullptr, "SqueezeExcite: it has no activation, expected a function of one tensor");
}

Tensor SqueezeExcite::forward(const Tensor& x) const {
  const Tensor y = excite(activation_(squeeze(mean(x, {1, 2}, true))));
  return x * (gate_ ? gate_(y) : hardsigmoid(y));
}

}  // namespace sinter::nn
