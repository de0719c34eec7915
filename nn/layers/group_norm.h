#pragma once

#include "../../core/ops/group_norm.h"
#include "../../core/required.h"
#include "../module.h"

namespace sinter::nn {

struct GroupNormOptions {
  Required<int64_t> groups;    ///< of channels; as many as channels: instance normalisation
  Required<int64_t> channels;  ///< a multiple of groups
  double eps = 1e-5;
};

/// Normalisation of each image's groups of channels, with a weight and a bias; see ops::GroupNorm.
class GroupNorm : public Module {
 public:
  /// Throws Error unless groups divide channels and eps is above 0.
  GroupNorm(const GroupNormOptions& options);

  Tensor forward(const Tensor& x) const override;
  std::string title() const override;
  SINTER_CHILDREN(weight, bias)

  GroupNormAttributes attributes;
  Parameter weight, bias;  ///< [channels], at first 1 and 0
};

}  // namespace sinter::nn
