#pragma once

#include <string>

#include "../core/tensor.h"

namespace sinter::data {

/// Reads an IDX file (the format of MNIST and its relatives), plain or compressed with gzip: uint8, int8, int16, int32
/// or float32 of 1 to 6 axes. Throws Error, naming the file and the fault, for a file that is missing, unreadable, no
/// IDX, cut, corrupt, or longer than its header says; a header's sizes are not believed before the data has come.
Tensor read_idx(const std::string& path);

}  // namespace sinter::data
