#pragma once
// Files of loggers for tests.

#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>

#include "../../../core/error.h"

namespace sinter::test {

/// A directory of its own, which goes with it.
struct LogDirectory {
  std::filesystem::path path;
  explicit LogDirectory(const std::string& name)
      : path(std::filesystem::temp_directory_path() / text("log_test.", name, ".", int64_t{::getpid()})) {
    std::filesystem::remove_all(path);
    std::filesystem::create_directories(path);
  }
  ~LogDirectory() { std::filesystem::remove_all(path); }
  std::string operator/(const std::string& file) const { return (path / file).string(); }
};

inline std::string content(const std::string& path) {
  std::ifstream in(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(in), {}};
}

inline void append(const std::string& path, const std::string& bytes) {
  std::ofstream(path, std::ios::binary | std::ios::app) << bytes;
}

}  // namespace sinter::test
