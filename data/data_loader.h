#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <iterator>
#include <memory>
#include <vector>

#include "augment.h"
#include "dataset.h"
#include "sampler.h"

namespace sinter::data {

struct DataLoaderOptions {
  int64_t batch = 128;
  uint64_t seed = 0;
  bool shuffle = true;
  Sampler sampler{};       ///< which images an epoch has, in place of all of them, shuffled or in order
  int64_t batches = 0;     ///< an epoch ends after this many; 0: no limit
  int64_t workers = 1;     ///< threads that prepare batches, up to 1024; 0: the loop's own thread does
  int64_t prefetch = 2;    ///< batches prepared ahead of the loop, at least one a worker
  bool drop_last = false;  ///< leave out a last batch that is smaller than the others
  std::vector<Augmentation> augment{};
  /// Makes a batch of its samples, whose order it keeps, in the loader's threads; empty: `data::collate`. What it draws
  /// from `default_random()` depends on the seeds, the epoch and the batch alone.
  std::function<Batch(std::vector<Sample>)> collate{};
};

/// Batches of a dataset, which outlives it: `for (const auto& batch : loader)` runs over one epoch, the next loop over
/// the next, shuffled anew. What a batch holds depends on seed, epoch and index alone, not on threads or on the
/// batches before it; so does what `Dataset::sample` and augmentations draw from `default_random()`, which is another
/// generator for each image of each epoch (of the loader's seed and that of the loop's thread, `manual_seed`), and the
/// thread's own again in the loop. An exception in a worker comes out of the loop; a loop may be left at any time.
class DataLoader {
 public:
  class Iterator;

  /// Throws Error for options out of range, and when there is no batch at all.
  explicit DataLoader(const Dataset& dataset, const DataLoaderOptions& options = {});
  explicit DataLoader(const Dataset&& dataset, const DataLoaderOptions& options = {}) = delete;
  DataLoader(DataLoader&&) noexcept;
  DataLoader& operator=(DataLoader&&) noexcept;
  ~DataLoader();

  /// Batches of an epoch.
  int64_t batches() const;

  /// The next loop runs over the given epoch (the first is 0), from the given batch on:
  /// `for (const auto& batch : loader.epoch(3))`.
  DataLoader& epoch(int64_t epoch, int64_t first_batch = 0) &;

  /// Starts the threads of an epoch; they end with the iterator.
  Iterator begin();
  std::default_sentinel_t end() const { return {}; }

  /// Seconds that loops have waited for batches so far.
  double waited() const;

 private:
  struct State;
  class Run;
  std::unique_ptr<State> state_;
};

/// Goes through the batches once. It ends before its loader.
class DataLoader::Iterator {
 public:
  using value_type = Batch;
  using difference_type = std::ptrdiff_t;

  Iterator(Iterator&&) noexcept;
  Iterator& operator=(Iterator&&) noexcept;
  ~Iterator();

  Batch& operator*() const;
  Batch* operator->() const { return &**this; }
  Iterator& operator++();
  void operator++(int) { ++*this; }
  bool operator==(std::default_sentinel_t) const;

 private:
  friend class DataLoader;
  explicit Iterator(std::unique_ptr<Run> run);
  std::unique_ptr<Run> run_;
};

}  // namespace sinter::data
