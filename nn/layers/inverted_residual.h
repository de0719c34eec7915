#pragma once

#include <optional>

#include "../../core/ops/relu6.h"
#include "batch_norm2d.h"
#include "conv2d.h"
#include "squeeze_excite.h"

namespace sinter::nn {

struct InvertedResidualOptions {
  Required<int64_t> in, out;  ///< channels
  int64_t stride = 1;
  int64_t expansion = 6;            ///< channels between the two ends, in units of `in`,
  std::optional<int64_t> hidden{};  ///< or their number, which counts where it is given
  int64_t kernel = 3;               ///< of the depthwise convolution, odd
  ActivationFunction activation = relu6;
  /// Channels between the layers of a squeeze and excitation of what the depthwise convolution gives; none: without.
  std::optional<int64_t> squeezed{};
  ActivationFunction squeeze_activation = relu;
  ActivationFunction gate{};  ///< see SqueezeExciteOptions, as for the one before
};

/// A 1x1 convolution that widens (none where the channels stay as many), a depthwise convolution with the stride,
/// squeeze and excitation if wanted, a 1x1 convolution that narrows and has no activation, and, where the shape stays
/// the same, the input added. By default as in MobileNetV2 (Sandler et al., 1801.04381): 3x3, ReLU6 after the first
/// two; others as in MobileNetV3 (Howard et al., 1905.02244, figure 4) and EfficientNet (Tan and Le, 1905.11946).
struct InvertedResidual : Module {
  std::optional<Conv2d> expand;
  std::optional<BatchNorm2d> expand_bn;
  Conv2d depthwise;
  BatchNorm2d depthwise_bn;
  std::optional<SqueezeExcite> squeeze_excite;
  Conv2d project;
  BatchNorm2d project_bn;
  SINTER_CHILDREN(expand, expand_bn, depthwise, depthwise_bn, squeeze_excite, project, project_bn)

  /// Throws Error for an even kernel, no activation, and what Conv2d refuses.
  InvertedResidual(InvertedResidualOptions options);
  Tensor forward(const Tensor& x) const override;

 private:
  bool adds_;
  ActivationFunction activation_;
};

}  // namespace sinter::nn
