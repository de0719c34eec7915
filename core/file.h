#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace sinter {

/// A regular file, read from front to back. Errors name the path and the fault; what is no regular file is refused.
class FileReader {
 public:
  explicit FileReader(std::string path);
  ~FileReader();
  FileReader(const FileReader&) = delete;
  FileReader& operator=(const FileReader&) = delete;

  const std::string& path() const { return path_; }
  /// Bytes, when it was opened.
  int64_t size() const { return size_; }
  /// Whether these are the file's first bytes.
  bool starts_with(std::string_view bytes) const;
  /// Fills `out` from where the last call ended and returns how many bytes there were: fewer only at the end.
  size_t read(std::span<std::byte> out);
  /// All that was not read yet. Throws Error when the file has more than `limit` bytes, before memory is asked for,
  /// and when there is no memory for them.
  std::vector<std::byte> read_rest(int64_t limit);

 private:
  std::string path_;
  int fd_;
  int64_t size_ = 0, position_ = 0;
};

/// What a file is read whole up to, unless its reader says otherwise: no network of this library comes near.
inline constexpr int64_t kMaxFileBytes = int64_t{1} << 34;

/// The content of a regular file. Throws Error naming the path and the fault, as for one of more than `limit` bytes.
std::vector<std::byte> read_file(const std::string& path, int64_t limit = kMaxFileBytes);

/// Replaces a file whole or not at all: the bytes go to a temporary file beside it, which is flushed to the disk and
/// then renamed. Any number of processes may write one file at once; what killed ones left beside it is removed. Links
/// are followed, permissions kept. Throws Error naming the path and the fault, for what is no regular file or must not
/// be written, too; then what was there before is untouched.
void write_file(const std::string& path, std::span<const std::byte> bytes);

}  // namespace sinter
