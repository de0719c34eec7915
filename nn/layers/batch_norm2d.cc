#include "batch_norm2d.h"

namespace sinter::nn {

BatchNorm2d::BatchNorm2d(int64_t channels, BatchNorm2dOptions options)
    : attributes{.eps = options.eps, .momentum = options.momentum} {
  check(channels >= 1, "BatchNorm2d: it has ", channels, " channels, expected at least 1");
  check(options.eps > 0, "BatchNorm2d: eps is ", options.eps, ", expected more than 0");
  check(options.momentum >= 0 && options.momentum <= 1, "BatchNorm2d: momentum is ", options.momentum,
        ", expected 0 to 1");
  weight = Parameter(Tensor::ones({channels}));
  bias = Parameter(Tensor::zeros({channels}));
  running_mean = Parameter(Tensor::zeros({channels}), false);
  running_var = Parameter(Tensor::ones({channels}), false);
}

Tensor BatchNorm2d::forward(const Tensor& x) const {
  BatchNormAttributes now = attributes;
  now.frozen = now.frozen || Freezing::now().batch_norm;
  return batch_norm(x, weight, bias, running_mean, running_var, now);
}

std::string BatchNorm2d::title() const { return text("BatchNorm2d(", weight.tensor().elements(), ")"); }

}  // namespace sinter::nn
