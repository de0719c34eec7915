#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

namespace sinter::nn {

/// A file that whole pieces are appended to, for loggers. Opened at the first piece, or by `open`: emptied, unless
/// `keep` was called. A process that is killed leaves at most one piece that is cut.
class AppendFile {
 public:
  explicit AppendFile(std::string path) : path_(std::move(path)) {}

  const std::string& path() const { return path_; }
  bool opened() const { return file_ != nullptr; }
  /// Before the first piece, so that one that cannot be written says so at once.
  void open();
  /// What was there before stays.
  void keep() { keep_ = true; }
  /// Throws Error naming the path and the fault.
  void append(std::string_view piece);
  /// Whether there is such a file, and what is in it.
  bool exists() const;
  std::string content() const;
  /// Replaces it, whole or not at all, and goes on behind that.
  void replace(std::string_view content);

 private:
  struct Close {
    void operator()(const int* fd) const;
  };
  std::string path_;
  std::unique_ptr<int, Close> file_;
  bool keep_ = false;
};

}  // namespace sinter::nn
