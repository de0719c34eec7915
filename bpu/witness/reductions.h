#pragma once
// Private: which elements a reduction over some axes is of.

#include "layer.h"

namespace sinter::bpu::witness {

/// By axis, whether it is reduced.
inline std::vector<bool> reduced(const Site& site) {
  const int rank = site.x().shape.rank();
  const auto axes = Attributes(site.step).get<std::vector<int64_t>>("axes", {});
  std::vector<bool> all(static_cast<size_t>(rank), axes.empty());
  for (const int64_t axis : axes) all[static_cast<size_t>(axis < 0 ? axis + rank : axis)] = true;
  return all;
}

/// The place of the result that an element is of, among all, in order.
inline size_t result_of(const Shape& x, const std::vector<bool>& reduced, const Index& at) {
  int64_t place = 0;
  for (int axis = 0; axis < x.rank(); ++axis)
    if (!reduced[static_cast<size_t>(axis)]) place = place * x[axis] + at[static_cast<size_t>(axis)];
  return static_cast<size_t>(place);
}

}  // namespace sinter::bpu::witness
