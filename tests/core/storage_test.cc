#include "../../core/storage.h"

#include <cstring>
#include <optional>
#include <thread>
#include <utility>

#include "../../core/autograd.h"
#include "../../core/ops/arithmetic.h"
#include "../../core/ops/linear.h"
#include "../../core/ops/reduce.h"
#include "../../core/ops/relu.h"
#include "../../core/parallel.h"
#include "../../core/random.h"
#include "../support.h"

using namespace sinter;

namespace {

constexpr int64_t kMiB = int64_t{1} << 20;

}  // namespace

TEST_CASE("memory is aligned to 64 bytes, whatever its size") {
  for (const int64_t bytes : {int64_t{0}, int64_t{1}, int64_t{63}, int64_t{65}, int64_t{4097}, kMiB + 1, 3 * kMiB}) {
    CAPTURE(bytes);
    const Storage storage(bytes);
    CHECK(storage.data() != nullptr);
    CHECK(reinterpret_cast<uintptr_t>(storage.data()) % 64 == 0);
    CHECK(storage.bytes() == bytes);
    std::memset(storage.data(), 1, static_cast<size_t>(bytes));  // a sanitizer's business
  }
}

TEST_CASE("what is kept does not take what others give back, nor do threads from each other") {
  if (!test::allocator_caches()) return;
  constexpr int64_t kBytes = 5 * kMiB + 64;
  { const Storage given_back(kBytes); }
  const int64_t before = allocator_stats().system_allocations;
  const Storage kept(kBytes, true);
  CHECK(allocator_stats().system_allocations == before + 1);
  const Storage reused(kBytes);
  CHECK(allocator_stats().system_allocations == before + 1);

  const int threads_before = threads();
  set_threads(2);
  const auto loop = [] {
    parallel_for(2, 1, [](int64_t begin, int64_t end) {
      for (int64_t i = begin; i < end; ++i) const Storage part(kBytes + i);
    });
  };
  loop();
  const int64_t after = allocator_stats().system_allocations;
  for (int i = 0; i < 20; ++i) loop();
  CHECK(allocator_stats().system_allocations == after);
  set_threads(threads_before);
}

TEST_CASE("no two storages have one identity, even at one address") {
  std::optional<Storage> storage(std::in_place, 100);
  const uint64_t first = storage->id();
  storage.reset();
  storage.emplace(100);
  CHECK(storage->id() != first);
  CHECK(storage->version() == 0);
}

TEST_CASE("a freed block is used again, for about the same size") {
  if (!test::allocator_caches()) return;
  std::byte* address = nullptr;
  {
    const Storage storage(kMiB);
    address = storage.data();
  }
  const AllocatorStats before = allocator_stats();
  CHECK(before.cached_bytes >= kMiB);
  {
    const Storage storage(kMiB - 1000);
    CHECK(storage.data() == address);
  }
  CHECK(allocator_stats().system_allocations == before.system_allocations);
  CHECK(allocator_stats().cached_bytes == before.cached_bytes);
}

TEST_CASE("cached memory is given back") {
  { const Storage storage(kMiB); }
  release_cached_memory();
  CHECK(allocator_stats().cached_bytes == 0);
  const int64_t before = allocator_stats().system_allocations;
  const Storage storage(kMiB);
  CHECK(allocator_stats().system_allocations == before + 1);
}

TEST_CASE("live and peak bytes are counted") {
  const int64_t base = allocator_stats().live_bytes;
  reset_peak_bytes();
  CHECK(allocator_stats().peak_bytes == base);
  {
    const Storage first(kMiB);
    { const Storage second(2 * kMiB); }
    CHECK(allocator_stats().live_bytes == base + kMiB);
    CHECK(allocator_stats().peak_bytes == base + 3 * kMiB);
  }
  CHECK(allocator_stats().live_bytes == base);
  CHECK(allocator_stats().peak_bytes == base + 3 * kMiB);
  reset_peak_bytes();
  CHECK(allocator_stats().peak_bytes == base);
}

TEST_CASE("memory that does not exist is an error, and counts for nothing") {
  reset_peak_bytes();
  const AllocatorStats before = allocator_stats();
  CHECK_ERROR(Storage(int64_t{1} << 60), "out of memory: a tensor of 1152921504606846976 bytes could not be allocated");
  const AllocatorStats after = allocator_stats();
  CHECK(after.live_bytes == before.live_bytes);
  CHECK(after.peak_bytes == before.peak_bytes);
  CHECK(after.system_allocations == before.system_allocations);
}

TEST_CASE("bytes that no 64 bits count are an error, not a small block") {
  for (const int64_t elements : {int64_t{1} << 61, int64_t{1} << 62}) {
    CAPTURE(elements);
    CHECK_ERROR(Tensor::empty({elements}), "out of memory: a tensor of float32");
    CHECK_ERROR(Tensor::zeros({elements / 4, 4}, DType::int64), "out of memory: a tensor of int64");
  }
  CHECK_ERROR(Storage(std::numeric_limits<int64_t>::max()), "out of memory");
}

TEST_CASE("a loop in its steady state takes nothing from the system") {
  if (!test::allocator_caches()) return;
  Tensor weight = test::normal({64, 64}).set_requires_grad(true);
  const Tensor x = test::normal({256, 64}, 2);
  const auto step = [&] {
    sum(relu(linear(x, weight) + 1.0)).backward();
    weight.set_grad({});
  };
  step();
  step();
  const int64_t before = allocator_stats().system_allocations;
  for (int i = 0; i < 5; ++i) step();
  CHECK(allocator_stats().system_allocations == before);
}

TEST_CASE("threads allocate and free side by side") {
  const int64_t base = allocator_stats().live_bytes;
  std::vector<std::thread> threads;
  std::vector<int> wrong(4, 0);
  for (int t = 0; t < 4; ++t)
    threads.emplace_back([t, &wrong] {
      for (int i = 0; i < 200; ++i) {
        const Storage storage(64 * (1 + (i * 7 + t) % 100));
        const auto mark = static_cast<int>(t + 1);
        std::memset(storage.data(), mark, static_cast<size_t>(storage.bytes()));
        std::this_thread::yield();
        for (int64_t k = 0; k < storage.bytes(); ++k)
          wrong[static_cast<size_t>(t)] += storage.data()[k] != std::byte(mark);
      }
    });
  for (auto& thread : threads) thread.join();
  CHECK(wrong == std::vector<int>(4, 0));
  CHECK(allocator_stats().live_bytes == base);
}

TEST_CASE("a stamp follows the version, and the bytes where somebody may write them unseen") {
  for (const int64_t elements : {1, 3, 16, 17, 1000}) {
    CAPTURE(elements);
    Tensor x = Tensor::zeros({elements});
    const Storage& storage = *detail::Access::storage(x);
    CHECK(!storage.exposed());
    CHECK(storage.stamp() == storage.stamp());
    const auto before = storage.stamp();
    x.copy_from(Tensor::ones({elements}));
    CHECK(!(storage.stamp() == before));
    CHECK(!storage.exposed());

    float* values = x.mutable_data<float>();
    CHECK(storage.exposed());
    for (int64_t i = 0; i < elements; ++i) {
      const auto old = storage.stamp();
      values[i] = -values[i];
      CHECK(!(storage.stamp() == old));
    }
    // All signs of a channel, every second one, two values swapped.
    const auto old = storage.stamp();
    for (int64_t i = 0; i < elements; i += 2) values[i] = -values[i];
    CHECK(!(storage.stamp() == old));
    values[0] = 5;
    const auto five = storage.stamp();
    std::swap(values[0], values[elements - 1]);
    CHECK((storage.stamp() == five) == (elements == 1));
  }
}

TEST_CASE("what the library writes itself is exposed to nobody") {
  Random random(1);
  Tensor x = Tensor::normal({4, 4}, random).set_requires_grad(true);
  const Tensor y = relu(linear(x, Tensor::ones({4, 4})) + 1.0);
  sum(y).backward();
  for (const Tensor& t : {x, y, x.grad(), x.clone(), Tensor::from({1}, {1}), Tensor::arange(3), x.to(DType::int8)})
    CHECK(!detail::Access::storage(t)->exposed());
}
