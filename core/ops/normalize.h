#pragma once
// Private: groups of values to mean 0 and variance 1, times weights, plus biases; shared by layer_norm and group_norm.

#include "../op.h"

namespace sinter::ops {

/// `count` groups, each of `runs` runs of `length` values that are `step` apart. Group i's weights begin at
/// i % weight_groups * length.
struct NormalGroups {
  int64_t count, runs, length, step, groups_apart, weight_groups;
  /// Of a group's first value.
  int64_t offset(int64_t group) const { return group / weight_groups * groups_apart + group % weight_groups * length; }
};

void normalize(const NormalGroups& groups, double eps, Inputs x, Outputs y, Context& context);
void normalize_backward(const NormalGroups& groups, const Context& context, Outputs dy, Gradients& dx);

}  // namespace sinter::ops
