#include "layer_norm.h"

namespace sinter::nn {

LayerNorm::LayerNorm(int64_t channels, double eps) : attributes(ops::LayerNorm({.eps = eps}).attributes) {
  check(channels >= 1, "LayerNorm: it has ", channels, " channels, expected at least 1");
  weight = Parameter(Tensor::ones({channels}));
  bias = Parameter(Tensor::zeros({channels}));
}

Tensor LayerNorm::forward(const Tensor& x) const { return layer_norm(x, weight, bias, attributes); }

std::string LayerNorm::title() const { return text("LayerNorm(", weight.tensor().elements(), ')'); }

}  // namespace sinter::nn
