#pragma once
// A batch cut into pieces, as if it had been split over processes.

#include <span>
#include <vector>

#include "../support.h"

namespace sinter::test {

/// Elements cuts[0]..cuts[1]-1, cuts[1]..cuts[2]-1, ... of x, each a tensor of its own.
inline std::vector<Tensor> pieces_of(const Tensor& x, const std::vector<int64_t>& cuts) {
  const std::span<const float> values = x.values<float>();
  std::vector<Tensor> pieces;
  for (size_t i = 0; i + 1 < cuts.size(); ++i)
    pieces.push_back(Tensor::from({cuts[i + 1] - cuts[i]},
                                  std::vector<float>(values.begin() + cuts[i], values.begin() + cuts[i + 1])));
  return pieces;
}

}  // namespace sinter::test
