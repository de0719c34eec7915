#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>

namespace sinter {

/// A block of memory, 64-byte aligned, that one or more tensors share.
class Storage {
 public:
  /// `kept`: it will stay for long, and does not take what steps that repeat themselves use and give back.
  explicit Storage(int64_t bytes, bool kept = false);
  ~Storage();
  Storage(const Storage&) = delete;
  Storage& operator=(const Storage&) = delete;

  std::byte* data() const { return data_; }
  int64_t bytes() const { return bytes_; }
  /// Unlike the address, never used again for another storage of this process.
  uint64_t id() const { return id_; }
  /// Grows with every write through `Tensor::mutable_data`.
  uint64_t version() const { return version_; }
  void bump() { ++version_; }
  /// Somebody has a pointer to write through from now on, and nobody will hear of it.
  void expose() { exposed_ = true; }
  bool exposed() const { return exposed_; }

  /// Of the elements as they are now: whoever keeps something that was made of them compares it, autograd first. It is
  /// the version, and where a user has a pointer to write through a hash of the bytes besides.
  struct Stamp {
    uint64_t version = 0, hash = 0;
    bool operator==(const Stamp&) const = default;
  };
  Stamp stamp() const { return {version_, exposed_ ? hash() : 0}; }

 private:
  uint64_t hash() const;

  int part_;  // of a parallel loop that asked for it: whose cache the block returns to
  std::byte* data_;
  int64_t bytes_;
  uint64_t id_;
  uint64_t version_ = 0;
  bool exposed_ = false;
};

/// What the caching allocator has done so far in this process.
struct AllocatorStats {
  int64_t system_allocations = 0;  ///< blocks of 4 KiB or more fetched from the system
  int64_t live_bytes = 0;          ///< in storages now
  int64_t peak_bytes = 0;          ///< most live bytes since the start or the last reset_peak_bytes()
  int64_t cached_bytes = 0;        ///< kept for reuse now
};
AllocatorStats allocator_stats();
void reset_peak_bytes();

/// Gives cached blocks back to the system.
void release_cached_memory();

}  // namespace sinter
