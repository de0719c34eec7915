#pragma once

#include <cstddef>
#include <span>
#include <string>
#include <vector>

namespace sinter {

/// The content of a regular file. Throws Error naming the path and the fault.
std::vector<std::byte> read_file(const std::string& path);

/// Replaces a file whole or not at all: the bytes go to a temporary file beside it, which is flushed to the disk and
/// then renamed. Throws Error naming the path and the fault; then what was there before is untouched.
void write_file(const std::string& path, std::span<const std::byte> bytes);

}  // namespace sinter
