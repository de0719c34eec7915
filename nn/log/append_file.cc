#include "append_file.h"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <filesystem>
#include <span>

#include "../../core/error.h"
#include "../../core/file.h"

namespace sinter::nn {

void AppendFile::Close::operator()(const int* fd) const {
  ::close(*fd);
  delete fd;
}

void AppendFile::open() {
  if (file_ != nullptr) return;
  const int fd = ::open(path_.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC | (keep_ ? 0 : O_TRUNC), 0666);
  check(fd >= 0, path_, ": cannot be written: ", std::strerror(errno));
  file_ = std::unique_ptr<int, Close>(new int(fd));
}

void AppendFile::append(std::string_view piece) {
  open();
  while (!piece.empty()) {
    const ssize_t written = ::write(*file_, piece.data(), piece.size());
    if (written < 0 && errno == EINTR) continue;
    check(written > 0, path_, ": cannot be written: ", std::strerror(errno));
    piece.remove_prefix(static_cast<size_t>(written));
  }
}

bool AppendFile::exists() const { return std::filesystem::exists(path_); }

std::string AppendFile::content() const {
  const auto bytes = read_file(path_);
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

void AppendFile::replace(std::string_view content) {
  file_ = nullptr;
  keep_ = true;
  write_file(path_, std::as_bytes(std::span(content.data(), content.size())));
}

}  // namespace sinter::nn
