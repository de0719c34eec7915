#pragma once

#include "../module.h"

namespace sinter::nn {

/// The channels of `groups` groups by turns: the first of each group, then the second of each, ... (Zhang et al.,
/// 1707.01083, figure 1). [N,H,W,C] to the same.
struct ChannelShuffle : Module {
  /// Throws Error unless groups >= 1.
  ChannelShuffle(int64_t groups);

  /// Throws Error where the groups do not divide the channels.
  Tensor forward(const Tensor& x) const override;
  std::string title() const override;
  SINTER_CHILDREN()

  int64_t groups;
};

}  // namespace sinter::nn
