#pragma once

#include <optional>

#include "batch_norm2d.h"
#include "conv2d.h"

namespace sinter::nn {

struct ResidualOptions {
  Required<int64_t> in, out;  ///< channels
  int64_t stride = 1;
};

/// The way around a residual block: the input itself, or, where the shape changes, a 1x1 convolution and batch
/// normalisation of it (option B of He et al., 1512.03385).
struct Shortcut : Module {
  std::optional<Conv2d> conv;
  std::optional<BatchNorm2d> bn;
  SINTER_CHILDREN(conv, bn)

  Shortcut(ResidualOptions options);
  Tensor forward(const Tensor& x) const override;
};

/// Two 3x3 convolutions, the first of which has the stride, and the shortcut around them.
struct BasicBlock : Module {
  Conv2d conv1;
  BatchNorm2d bn1;
  Conv2d conv2;
  BatchNorm2d bn2;
  Shortcut shortcut;
  SINTER_CHILDREN(conv1, bn1, conv2, bn2, shortcut)

  BasicBlock(ResidualOptions options);
  Tensor forward(const Tensor& x) const override;
};

}  // namespace sinter::nn
