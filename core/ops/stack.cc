#include "stack.h"

#include <algorithm>

#include "concat.h"
#include "reshape.h"

namespace sinter {

Tensor stack(const std::vector<Tensor>& x, int64_t axis) {
  check(!x.empty(), "stack: got no tensors, expected at least 1");
  const int at = normalize_axis(axis, x[0].rank() + 1, "stack");
  std::vector<Tensor> slices;
  for (const Tensor& t : x) {
    check(t.defined(), "stack: tensor ", slices.size(), " is undefined");
    check(t.spec() == x[0].spec(), "stack: tensors are ", x[0].spec(), " and ", t.spec(),
          ", expected one type and one shape");
    // Whatever the batch is: a network may be traced with one and run with another. Reshape takes a 0 for the axis that
    // is there, so that an empty axis that moves is "what is left".
    std::vector<int64_t> sizes(t.shape().begin(), t.shape().end());
    const auto empty = std::find(sizes.begin() + at, sizes.end(), 0);
    if (empty != sizes.end())
      *empty = -1;
    else if (at == 0 && !sizes.empty())
      sizes[0] = -1;
    if (at > 0) sizes[0] = 0;
    sizes.insert(sizes.begin() + at, 1);
    slices.push_back(reshape(t, sizes));
  }
  return concat(slices, at);
}

}  // namespace sinter
