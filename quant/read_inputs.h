#pragma once
// Private: what a network reads of a batch.

#include <vector>

#include "../core/error.h"
#include "../data/inputs.h"

namespace sinter::quant {

/// Throws Error, starting with `what`, unless there are as many as the network has inputs.
inline std::vector<Tensor> read_inputs(const char* what, const data::Inputs& inputs, const data::Batch& batch,
                                       size_t expected) {
  std::vector<Tensor> read = inputs(batch);
  check(read.size() == expected, what, ": the network has ", expected, expected == 1 ? " input" : " inputs", ", but ",
        read.size(), read.size() == 1 ? " is" : " are", " read of the dataset (", inputs.describe(),
        "); name them: `.inputs = {\"image\", ...}`");
  return read;
}

}  // namespace sinter::quant
