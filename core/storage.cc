#include "storage.h"

#include <sys/mman.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <bit>
#include <cstdlib>
#include <cstring>
#include <map>
#include <mutex>
#include <vector>

#include "error.h"
#include "thread_pool.h"

// g++ tells of AddressSanitizer by a macro, clang by a feature.
#if defined(__SANITIZE_ADDRESS__)
#define SINTER_ADDRESS_SANITIZER
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define SINTER_ADDRESS_SANITIZER
#endif
#endif

namespace sinter {

namespace {

constexpr int64_t kAlignment = 64;
constexpr int64_t kPage = 4096;
constexpr int64_t kHugePage = int64_t{2} << 20;
constexpr int64_t kMaxBytes = int64_t{1} << 62;  // rounded up, 64 bits still hold it

// Sizes are rounded up to a quarter of their power of two, so that tensors of slightly different sizes (a last,
// smaller batch) share blocks, at a cost of at most 25 % of memory.
int64_t round_up(int64_t bytes) {
  bytes = std::max(bytes, kAlignment);
  const int64_t step = std::max(static_cast<int64_t>(std::bit_floor(static_cast<uint64_t>(bytes)) / 4), kAlignment);
  return (bytes + step - 1) / step * step;
}

// The parts of a parallel loop have caches of their own: what one finds there does not depend on what the others hold
// at that moment, so that a loop that has run once fetches nothing when it runs again.
using Shelf = std::pair<int64_t, int>;  // rounded size, part
constexpr int kKept = -1;               // no part's: for what is kept

struct Allocator {
  std::mutex mutex;
  std::map<Shelf, std::vector<std::byte*>> cached;
  AllocatorStats stats;
  std::atomic<uint64_t> next_id{1};

  std::byte* allocate(int64_t requested, int part) {
    check(requested <= kMaxBytes, "out of memory: a tensor of ", requested, " bytes could not be allocated");
    const int64_t bytes = round_up(requested);
    std::byte* block = take_cached({bytes, part});
    const bool fresh = block == nullptr;
    if (fresh) block = fetch(bytes);
    if (block == nullptr) {
      release();  // blocks of other sizes may be what is missing
      block = fetch(bytes);
    }
    check(block != nullptr, "out of memory: a tensor of ", requested, " bytes could not be allocated");
    const std::lock_guard lock(mutex);
    if (fresh && bytes >= kPage) ++stats.system_allocations;
    stats.live_bytes += bytes;
    stats.peak_bytes = std::max(stats.peak_bytes, stats.live_bytes);
    return block;
  }

  std::byte* take_cached(const Shelf& shelf) {
    const std::lock_guard lock(mutex);
    const auto it = cached.find(shelf);
    if (it == cached.end() || it->second.empty()) return nullptr;
    std::byte* block = it->second.back();
    it->second.pop_back();
    stats.cached_bytes -= shelf.first;
    return block;
  }

  static std::byte* fetch(int64_t bytes) {
    const int64_t alignment = bytes >= kHugePage ? kHugePage : kAlignment;
    const int64_t padded = (bytes + alignment - 1) / alignment * alignment;
    auto* block = static_cast<std::byte*>(std::aligned_alloc(alignment, padded));
    // A hint: failure changes nothing but speed.
    if (block != nullptr && bytes >= kHugePage) madvise(block, padded, MADV_HUGEPAGE);
    return block;
  }

  void free(std::byte* block, int64_t requested, [[maybe_unused]] int part) {
    const int64_t bytes = round_up(requested);
    const std::lock_guard lock(mutex);
    stats.live_bytes -= bytes;
#ifdef SINTER_ADDRESS_SANITIZER
    std::free(block);  // so that the sanitizer sees a use after free
#else
    stats.cached_bytes += bytes;
    cached[{bytes, part}].push_back(block);
#endif
  }

  void release() {
    const std::lock_guard lock(mutex);
    for (auto& [shelf, blocks] : cached)
      for (std::byte* block : blocks) std::free(block);
    cached.clear();
    stats.cached_bytes = 0;
  }
};

// Leaked on purpose: tensors in static objects may outlive any static destructor.
Allocator& allocator() {
  static auto& instance = *new Allocator;
  return instance;
}

}  // namespace

Storage::Storage(int64_t bytes, bool kept)
    : part_(kept ? kKept : std::max(detail::current_part(), 0)),
      data_(allocator().allocate(bytes, part_)),
      bytes_(bytes),
      id_(allocator().next_id++) {}
Storage::~Storage() { allocator().free(data_, bytes_, part_); }

// Words of 64 bits in lanes that do not wait for each other. A step is one-to-one in the word and in what came before,
// so that one changed word always shows; the rotation carries a word's highest bits (signs) into the product.
uint64_t Storage::hash() const {
  constexpr int64_t kLanes = 8, kWord = sizeof(uint64_t);
  constexpr uint64_t kOdd = 0x9E3779B97F4A7C15;
  const auto mix = [](uint64_t hash, uint64_t word) { return std::rotl(hash ^ word, 29) * kOdd; };
  std::array<uint64_t, kLanes> lanes{1, 2, 3, 4, 5, 6, 7, 8};
  int64_t at = 0;
  for (; at + kLanes * kWord <= bytes_; at += kLanes * kWord) {
    std::array<uint64_t, kLanes> words;
    std::memcpy(words.data(), data_ + at, sizeof words);
    for (size_t i = 0; i < kLanes; ++i) lanes[i] = mix(lanes[i], words[i]);
  }
  std::array<uint64_t, kLanes> rest{};
  if (at < bytes_) std::memcpy(rest.data(), data_ + at, static_cast<size_t>(bytes_ - at));
  uint64_t hash = 0;
  for (size_t i = 0; i < kLanes; ++i) hash = mix(hash, mix(lanes[i], rest[i]));
  return hash;
}

AllocatorStats allocator_stats() {
  const std::lock_guard lock(allocator().mutex);
  return allocator().stats;
}

void reset_peak_bytes() {
  const std::lock_guard lock(allocator().mutex);
  allocator().stats.peak_bytes = allocator().stats.live_bytes;
}

void release_cached_memory() { allocator().release(); }

}  // namespace sinter
