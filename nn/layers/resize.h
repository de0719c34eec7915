#pragma once

#include "../../core/ops/resize.h"
#include "../module.h"

namespace sinter::nn {

/// Another size of an image, PyTorch's Upsample; see ops::Resize. `nn::Resize up{{.scale = 2, .mode = "bilinear"}}`
struct Resize : Module {
  /// Throws Error for options that make no sense.
  Resize(const ResizeAttributes& options);

  Tensor forward(const Tensor& x) const override;
  std::string title() const override;
  SINTER_CHILDREN()

  ResizeAttributes attributes;
};

}  // namespace sinter::nn
