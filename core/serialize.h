#pragma once

#include <concepts>
#include <cstddef>
#include <cstdint>
#include <map>
#include <span>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "tensor.h"

namespace sinter {

/// Named sections that are written to one file and read back exactly: checkpoints, programs. A section is a tensor, a
/// text, raw bytes, an integer or a real number; its name is any text, by custom a path like `model/stem.weight`.
/// Equal content gives equal bytes, whatever the order of the calls. Every section carries a checksum.
class Archive {
 public:
  using Bytes = std::vector<std::byte>;
  using Value = std::variant<Tensor, std::string, Bytes, int64_t, double>;

  /// `kind` says what the file is for (`checkpoint`), `version` how its content is to be understood.
  explicit Archive(std::string kind, int64_t version = 1);

  const std::string& kind() const { return kind_; }
  int64_t version() const { return version_; }

  /// Adds a section or replaces the one of this name. A tensor is shared, not copied.
  void set(const std::string& name, Tensor value);
  void set(const std::string& name, std::string value) { put(name, std::move(value)); }
  void set(const std::string& name, Bytes value) { put(name, std::move(value)); }
  void set(const std::string& name, double value) { put(name, value); }
  template <std::integral Integer>
  void set(const std::string& name, Integer value) {
    put(name, static_cast<int64_t>(value));
  }

  bool contains(const std::string& name) const { return sections_.contains(name); }
  /// Names in order of their bytes, those that start with `prefix`.
  std::vector<std::string> names(std::string_view prefix = {}) const;

  /// The value of a section. Throws Error, naming the file, when it is missing or of another type.
  const Tensor& tensor(const std::string& name) const;
  const std::string& text(const std::string& name) const;
  const Bytes& bytes(const std::string& name) const;
  int64_t integer(const std::string& name) const;
  double real(const std::string& name) const;
  /// An integer from `low` to `high`.
  int64_t integer(const std::string& name, int64_t low, int64_t high) const;

  /// The file's content.
  Bytes encode() const;
  /// Throws Error, starting with `source`, naming section and fault, for bytes that `encode` did not make, of another
  /// kind, or of a version above `newest`.
  static Archive decode(std::span<const std::byte> content, std::string_view kind, int64_t newest = 1,
                        const std::string& source = "archive");

  /// Replaces the file whole or not at all.
  void write(const std::string& path) const;
  /// `decode` of the file's content.
  static Archive read(const std::string& path, std::string_view kind, int64_t newest = 1);

 private:
  void put(const std::string& name, Value value);
  template <class T>
  const T& get(const std::string& name) const;

  std::string kind_;
  int64_t version_;
  std::string source_;  // the file that it was read from
  std::map<std::string, Value> sections_;
};

}  // namespace sinter
