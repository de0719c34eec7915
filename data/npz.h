#pragma once

#include <map>
#include <string>

#include "../core/tensor.h"

namespace sinter::data {

/// An array of NumPy's .npy format, versions 1 to 3, of either byte order, row- or column-major. bool becomes uint8,
/// uint16 int32, uint32 and uint64 int64; float16 and float64 become float32. Throws Error, naming the file and the
/// fault, for one that is missing, cut, longer than it says, of another type (objects would be a pickle, and are not
/// executed), of more than 6 axes, or a number that the tensor's type does not hold.
Tensor read_npy(const std::string& path);
/// The arrays of an .npz file by name, without the ending .npy. Throws Error likewise.
std::map<std::string, Tensor> read_npz(const std::string& path);

/// What NumPy's load reads back: float32, uint8, int8, int16, int32 and int64.
void write_npy(const std::string& path, const Tensor& tensor);
void write_npz(const std::string& path, const std::map<std::string, Tensor>& tensors);

}  // namespace sinter::data
