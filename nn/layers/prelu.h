#pragma once

#include "../module.h"

namespace sinter::nn {

struct PReLUOptions {
  int64_t channels = 1;  ///< with a slope each; 1: one slope for all
  double start = 0.25;   ///< of the slopes, as in the paper
};

/// x above 0, else x times a slope that is learned (He et al., 1502.01852); see ops::Prelu.
class PReLU : public Module {
 public:
  /// Throws Error for channels below 1.
  PReLU(PReLUOptions options = {});

  Tensor forward(const Tensor& x) const override;
  std::string title() const override;
  SINTER_CHILDREN(weight)

  Parameter weight;  ///< [channels]
};

}  // namespace sinter::nn
