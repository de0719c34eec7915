#include "group_norm.h"

namespace sinter::nn {

GroupNorm::GroupNorm(const GroupNormOptions& options)
    : attributes(ops::GroupNorm({.groups = options.groups, .eps = options.eps}).attributes) {
  const int64_t channels = options.channels;
  check(channels >= 1 && channels % attributes.groups == 0, "GroupNorm: ", attributes.groups, " groups do not divide ",
        channels, " channels");
  weight = Parameter(Tensor::ones({channels}));
  bias = Parameter(Tensor::zeros({channels}));
}

Tensor GroupNorm::forward(const Tensor& x) const { return group_norm(x, weight, bias, attributes); }

std::string GroupNorm::title() const {
  return text("GroupNorm(groups=", attributes.groups, ", channels=", weight.tensor().elements(), ')');
}

}  // namespace sinter::nn
