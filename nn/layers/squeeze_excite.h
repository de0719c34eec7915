#pragma once

#include <functional>

#include "../../core/ops/relu.h"
#include "conv2d.h"

namespace sinter::nn {

/// What is applied to every value between two layers: `relu`, `silu`, or a function of one's own. Its result has its
/// input's shape.
using ActivationFunction = std::function<Tensor(const Tensor&)>;

struct SqueezeExciteOptions {
  Required<int64_t> channels, squeezed;  ///< of the input, and between the two layers
  ActivationFunction activation = relu;
  ActivationFunction gate{};  ///< gives what each channel is multiplied with; none: hardsigmoid
};

/// x times a number for each channel, which two 1x1 convolutions make of the image's mean (Hu et al., 1709.01507): with
/// a hardsigmoid as in MobileNetV3 (Howard et al., 1905.02244, section 5.3). [N,H,W,channels] to the same.
struct SqueezeExcite : Module {
  Conv2d squeeze, excite;
  SINTER_CHILDREN(squeeze, excite)

  SqueezeExcite(SqueezeExciteOptions options);
  Tensor forward(const Tensor& x) const override;

 private:
  ActivationFunction activation_, gate_;
};

}  // namespace sinter::nn
