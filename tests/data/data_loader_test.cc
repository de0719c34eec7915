#include "../../data/data_loader.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <atomic>
#include <cmath>
#include <thread>
#include <type_traits>

#include "../support.h"

using namespace sinter;
using namespace sinter::data;

namespace {

// Image i is 4x5x2 of values that nobody else has; its label is i.
class Numbered : public Dataset {
 public:
  explicit Numbered(int64_t size) : size_(size) {}
  int64_t size() const override { return size_; }
  Shape image_shape() const override { return {4, 5, 2}; }
  void read(int64_t index, std::span<float> image) const override {
    for (size_t i = 0; i < image.size(); ++i) image[i] = static_cast<float>(index * 100 + static_cast<int64_t>(i) + 1);
  }
  int64_t label(int64_t index) const override { return index; }

 private:
  int64_t size_;
};

// What a loop saw, to compare bit by bit.
struct Seen {
  std::vector<std::vector<int64_t>> labels;
  std::vector<std::vector<float>> images;
  std::vector<int64_t> indices;
  bool operator==(const Seen&) const = default;

  void add(const Batch& batch) {
    const auto l = batch.labels.values<int64_t>();
    const auto x = batch.images.values<float>();
    labels.emplace_back(l.begin(), l.end());
    images.emplace_back(x.begin(), x.end());
    indices.push_back(batch.index);
  }
  std::vector<int64_t> all_labels() const {
    std::vector<int64_t> all;
    for (const auto& part : labels) all.insert(all.end(), part.begin(), part.end());
    return all;
  }
};

Seen run(DataLoader& loader) {
  Seen seen;
  for (const auto& batch : loader) seen.add(batch);
  return seen;
}

std::vector<int64_t> sorted(std::vector<int64_t> values) {
  std::ranges::sort(values);
  return values;
}

std::vector<int64_t> first_numbers(int64_t count) {
  std::vector<int64_t> numbers;
  for (int64_t i = 0; i < count; ++i) numbers.push_back(i);
  return numbers;
}

}  // namespace

// A loader refers to its dataset: one that would be gone at the end of the line does not compile.
static_assert(std::is_constructible_v<DataLoader, Numbered&>);
static_assert(!std::is_constructible_v<DataLoader, Numbered>);
static_assert(!std::is_constructible_v<DataLoader, const ImageDataset>);
static_assert(std::input_iterator<DataLoader::Iterator>);
template <class Loader>
constexpr bool kHasEpoch = requires(Loader loader) {
  static_cast<Loader>(loader).epoch(0);
};
static_assert(kHasEpoch<DataLoader&> && !kHasEpoch<DataLoader&&>);

TEST_CASE("DataLoader without shuffling gives the dataset in order, the last batch smaller") {
  const Numbered dataset(23);
  for (const int64_t workers : {0, 1, 2}) {
    DataLoader loader(dataset, {.batch = 10, .shuffle = false, .workers = workers});
    CHECK(loader.batches() == 3);
    int64_t index = 0;
    for (const auto& batch : loader) {
      CHECK(batch.index == index);
      const int64_t count = index == 2 ? 3 : 10;
      REQUIRE(batch.images.spec() == Spec{DType::float32, {count, 4, 5, 2}});
      REQUIRE(batch.labels.spec() == Spec{DType::int64, {count}});
      for (int64_t i = 0; i < count; ++i) {
        CHECK(batch.labels.at<int64_t>({i}) == index * 10 + i);
        CHECK(batch.images.at({i, 3, 4, 1}) == static_cast<float>((index * 10 + i) * 100 + 40));
      }
      ++index;
    }
    CHECK(index == 3);
  }
}

TEST_CASE("DataLoader can drop the last batch and limit the batches") {
  const Numbered dataset(23);
  DataLoader dropping(dataset, {.batch = 10, .drop_last = true}), limited(dataset, {.batch = 10, .batches = 2}),
      generous(dataset, {.batch = 10, .batches = 9}), whole(dataset, {.batch = 1000}), exact(dataset, {.batch = 23});
  CHECK(dropping.batches() == 2);
  CHECK(limited.batches() == 2);
  CHECK(generous.batches() == 3);
  CHECK(whole.batches() == 1);
  CHECK(exact.batches() == 1);
  CHECK(run(dropping).all_labels().size() == 20);
  CHECK(sorted(run(whole).all_labels()) == first_numbers(23));

  std::vector<int64_t> temporary;
  for (const auto& batch : DataLoader(dataset, {.batch = 10, .batches = 2}))
    for (const int64_t label : batch.labels.values<int64_t>()) temporary.push_back(label);
  CHECK(temporary == run(limited).all_labels());

  // A limit leaves the batches before it as they are.
  const Seen all = run(generous), some = run(limited.epoch(0));
  CHECK(some.labels[0] == all.labels[0]);
  CHECK(some.labels[1] == all.labels[1]);
}

TEST_CASE("DataLoader shuffles every epoch anew, by its seed") {
  const Numbered dataset(500);
  DataLoader loader(dataset, {.batch = 64, .seed = 1}), same(dataset, {.batch = 64, .seed = 1}),
      other(dataset, {.batch = 64, .seed = 2});
  std::vector<std::vector<int64_t>> epochs;
  for (int i = 0; i < 3; ++i) epochs.push_back(run(loader).all_labels());
  for (int i = 0; i < 3; ++i) CHECK(epochs[static_cast<size_t>(i)] == run(same).all_labels());
  epochs.push_back(run(other).all_labels());
  epochs.push_back(first_numbers(500));
  for (size_t i = 0; i < epochs.size(); ++i) {
    CHECK(sorted(epochs[i]) == first_numbers(500));
    for (size_t j = 0; j < i; ++j) {
      int64_t equal = 0;  // two permutations agree in one place on average
      for (size_t k = 0; k < 500; ++k) equal += epochs[i][k] == epochs[j][k];
      CHECK(equal < 8);
    }
  }
}

TEST_CASE("DataLoader's shuffle puts every image everywhere equally often") {
  const Numbered dataset(5);
  DataLoader loader(dataset, {.batch = 5, .workers = 0});
  constexpr int kEpochs = 4000;
  int counts[5][5] = {};
  for (int epoch = 0; epoch < kEpochs; ++epoch) {
    const auto order = run(loader).all_labels();
    for (size_t i = 0; i < 5; ++i) ++counts[i][order[i]];
  }
  for (const auto& row : counts)
    for (const int count : row) CHECK(std::abs(count - kEpochs / 5) < 5 * std::sqrt(kEpochs / 5));
}

TEST_CASE("DataLoader gives the same bits with any number of workers and any prefetch") {
  const Numbered dataset(203);
  const auto epochs = [&](int64_t workers, int64_t prefetch) {
    DataLoader loader(dataset, {.batch = 16,
                                .seed = 7,
                                .workers = workers,
                                .prefetch = prefetch,
                                .augment = {pad_crop(2), horizontal_flip()}});
    std::vector<Seen> seen;
    for (int i = 0; i < 3; ++i) seen.push_back(run(loader));
    return seen;
  };
  const auto expected = epochs(0, 0);
  CHECK(expected[0].indices == first_numbers(13));
  CHECK(sorted(expected[1].all_labels()) == first_numbers(203));
  for (const int64_t workers : {0, 1, 2, 3, 20})
    for (const int64_t prefetch : {int64_t{0}, int64_t{1}, int64_t{2}, int64_t{5}, int64_t{40}, int64_t{1} << 40})
      CHECK(epochs(workers, prefetch) == expected);
}

TEST_CASE("DataLoader's augmentation depends on the seed, the epoch and the image, not on the batch") {
  const Numbered dataset(60);
  const auto images = [&](uint64_t seed, int64_t batch, int64_t epoch, bool shuffle) {
    DataLoader loader(dataset, {.batch = batch, .seed = seed, .shuffle = shuffle, .augment = {pad_crop(2)}});
    std::vector<std::vector<float>> by_label(60);
    for (const auto& b : loader.epoch(epoch))
      for (int64_t i = 0; i < b.labels.size(0); ++i) {
        const auto x = b.images.values<float>().subspan(static_cast<size_t>(i * 40), 40);
        by_label[static_cast<size_t>(b.labels.at<int64_t>({i}))].assign(x.begin(), x.end());
      }
    return by_label;
  };
  const auto expected = images(1, 16, 0, true);
  CHECK(images(1, 7, 0, false) == expected);
  for (const auto& other : {images(2, 16, 0, true), images(1, 16, 1, true)}) {
    int64_t equal = 0;  // 25 shifts: images agree once in 25
    for (size_t i = 0; i < 60; ++i) equal += other[i] == expected[i];
    CHECK(equal < 12);
  }
}

TEST_CASE("DataLoader resumes in the middle of an epoch to the same bits") {
  const Numbered dataset(100);
  const DataLoaderOptions options{.batch = 8, .seed = 3, .augment = {pad_crop(1), horizontal_flip()}};
  DataLoader whole(dataset, options);
  run(whole);
  run(whole);
  const Seen third = run(whole), fourth = run(whole);
  for (const int64_t first : {0, 1, 5, 12, 13}) {
    DataLoader resumed(dataset, options);
    Seen rest;
    for (const auto& batch : resumed.epoch(2, first)) rest.add(batch);
    Seen expected;
    for (int64_t i = first; i < 13; ++i) {
      const auto k = static_cast<size_t>(i);
      expected.labels.push_back(third.labels[k]);
      expected.images.push_back(third.images[k]);
      expected.indices.push_back(i);
    }
    CHECK(rest == expected);
    CHECK(run(resumed) == fourth);
  }
  CHECK_THROWS_WITH_AS(whole.epoch(0, 14), "DataLoader: batch 14 was asked for, an epoch has 13", Error);
  CHECK_THROWS_WITH_AS(whole.epoch(0, -1), "DataLoader: batch -1 was asked for, an epoch has 13", Error);
  CHECK_THROWS_WITH_AS(whole.epoch(-1), "DataLoader: epoch -1 was asked for, the first is 0", Error);
}

TEST_CASE("A loop over a DataLoader may be left at any batch") {
  const Numbered dataset(1000);
  for (const int64_t workers : {0, 1, 3}) {
    DataLoader loader(dataset, {.batch = 8, .workers = workers, .prefetch = 4});
    for (int64_t leave = 0; leave < 20; ++leave) {
      for (const auto& batch : loader)
        if (batch.index == leave) break;
    }
    CHECK(sorted(run(loader).all_labels()) == first_numbers(1000));
    const DataLoader::Iterator unused = loader.begin();
  }
}

TEST_CASE("Two loops over one DataLoader do not disturb each other, and batches may be kept") {
  const Numbered dataset(64);
  DataLoader loader(dataset, {.batch = 16, .workers = 2}), same(dataset, {.batch = 16, .workers = 2});
  Seen outer;
  std::vector<Batch> kept;
  for (const auto& batch : loader) {
    outer.add(batch);
    kept.push_back(batch);
    CHECK(sorted(run(loader).all_labels()) == first_numbers(64));
  }
  Seen later;
  for (const auto& batch : kept) later.add(batch);
  CHECK(outer == later);
  CHECK(outer == run(same));

  DataLoader moved = std::move(same);
  CHECK(sorted(run(moved).all_labels()) == first_numbers(64));
}

TEST_CASE("An exception in a worker comes out of the loop, at its batch") {
  struct Faulty : Numbered {
    using Numbered::Numbered;
    void read(int64_t index, std::span<float> image) const override {
      check(index != 37, "image 37 is torn");
      Numbered::read(index, image);
    }
  };
  const Faulty dataset(100);
  for (const int64_t workers : {0, 1, 2, 3}) {
    DataLoader loader(dataset, {.batch = 10, .shuffle = false, .workers = workers, .prefetch = 5});
    int64_t batches = 0;
    const auto loop = [&] {
      for (const auto& batch : loader) batches += batch.index == batches;
    };
    CHECK_THROWS_WITH_AS(loop(), "image 37 is torn", Error);
    CHECK(batches == 3);
    CHECK_THROWS_WITH_AS(loop(), "image 37 is torn", Error);  // the next epoch meets it again
  }
}

TEST_CASE("DataLoader prepares no more batches than it should, and none without need") {
  struct Counting : Numbered {
    using Numbered::Numbered;
    mutable std::atomic<int64_t> reads = 0;
    void read(int64_t index, std::span<float> image) const override {
      ++reads;
      Numbered::read(index, image);
    }
  };
  const Counting dataset(100);
  DataLoader loader(dataset, {.batch = 1, .workers = 1, .prefetch = 3});
  for (const auto& batch : loader) {
    std::this_thread::sleep_for(std::chrono::milliseconds(2));
    CHECK(dataset.reads <= batch.index + 1 + 3);
    if (batch.index == 50) break;
  }
  CHECK(dataset.reads <= 54);
  CHECK(dataset.reads >= 51);
}

TEST_CASE("DataLoader counts the time that the loop waited, and only that") {
  struct Slow : Numbered {
    using Numbered::Numbered;
    mutable std::atomic<int64_t> reads = 0;
    void read(int64_t index, std::span<float> image) const override {
      std::this_thread::sleep_for(std::chrono::milliseconds(5));
      Numbered::read(index, image);
      ++reads;
    }
  };
  const Slow dataset(8);
  for (const int64_t workers : {0, 1}) {
    DataLoader loader(dataset, {.batch = 1, .workers = workers});
    CHECK(loader.waited() == 0);
    run(loader);
    CHECK(loader.waited() >= 0.020);
  }
  dataset.reads = 0;
  DataLoader ahead(dataset, {.batch = 1, .workers = 1, .prefetch = 8});
  double after_first = 0;
  for (const auto& batch : ahead)
    if (batch.index == 0) {
      after_first = ahead.waited();
      while (dataset.reads < 8) std::this_thread::sleep_for(std::chrono::milliseconds(1));
    }
  CHECK(after_first >= 0.005);
  CHECK(ahead.waited() - after_first < 0.030);
}

TEST_CASE("DataLoader takes no new memory once it is running") {
  if (!test::allocator_caches()) return;
  const Numbered dataset(2000);
  const int64_t before = allocator_stats().system_allocations;
  DataLoader loader(dataset, {.batch = 100, .workers = 2, .augment = {pad_crop(1)}});
  for (int i = 0; i < 7; ++i)
    for (const auto& batch : loader) CHECK(batch.images.size(0) == 100);
  CHECK(allocator_stats().system_allocations <= before + 3);  // two prefetched, one in the loop
}

TEST_CASE("DataLoader says which option is wrong") {
  const Numbered dataset(10), none(0);
  const auto make = [&](const DataLoaderOptions& options) { DataLoader(dataset, options); };
  CHECK_THROWS_WITH_AS(make({.batch = 0}), "DataLoader: batch is 0, expected at least 1", Error);
  CHECK_THROWS_WITH_AS(make({.batches = -1}), "DataLoader: batches is -1, expected 0 (no limit) or more", Error);
  CHECK_THROWS_WITH_AS(make({.workers = -1}), "DataLoader: workers is -1, expected 0 to 1024", Error);
  CHECK_THROWS_WITH_AS(make({.workers = 1025}), "DataLoader: workers is 1025, expected 0 to 1024", Error);
  CHECK_THROWS_WITH_AS(make({.prefetch = -1}), "DataLoader: prefetch is -1, expected 0 or more", Error);
  CHECK_THROWS_WITH_AS(make({.batch = 11, .drop_last = true}),
                       "DataLoader: drop_last leaves no batch: batch is 11, the dataset has 10 images", Error);
  CHECK_THROWS_WITH_AS(make({.augment = {horizontal_flip(), nullptr}}), "DataLoader: augment[1] is empty", Error);
  CHECK_THROWS_WITH_AS(DataLoader(none, {}), "DataLoader: the dataset is empty", Error);

  struct Flat : Numbered {
    using Numbered::Numbered;
    Shape image_shape() const override { return {4, 10}; }
    std::vector<float> black() const override { return {}; }
  };
  const Flat flat(3);
  CHECK_THROWS_WITH_AS(DataLoader(flat, {}), "DataLoader: images of the dataset are [4,10], expected [H,W,C]", Error);
  struct Colourless : Numbered {
    using Numbered::Numbered;
    std::vector<float> black() const override { return {0}; }
  };
  const Colourless colourless(3);
  CHECK_THROWS_WITH_AS(DataLoader(colourless, {}), "DataLoader: the dataset names 1 values of black for images [4,5,2]",
                       Error);
}

TEST_CASE("default_random() in read and in augmentations depends on seeds, epoch and image alone") {
  struct Noisy final : Dataset {
    int64_t size() const override { return 10; }
    Shape image_shape() const override { return {1, 1, 2}; }
    void read(int64_t, std::span<float> image) const override {
      for (float& v : image) v = static_cast<float>(default_random().uniform());
    }
    int64_t label(int64_t index) const override { return index; }
  };
  const Noisy dataset;
  const auto epochs = [&](int64_t workers, uint64_t seed, int64_t first = 0) {
    DataLoader loader(
        dataset,
        {.batch = 3, .seed = seed, .shuffle = false, .workers = workers, .augment = {[](const Image& image, Random&) {
                                                                           image.values[0] += static_cast<float>(
                                                                               default_random().uniform());
                                                                         }}});
    loader.epoch(first);
    std::vector<Seen> all;
    for (int64_t epoch = first; epoch < 3; ++epoch) all.push_back(run(loader));
    return all;
  };
  manual_seed(1);
  const auto expected = epochs(0, 7);
  CHECK(default_random().position() == 0);  // the loop's own is as before
  CHECK(!(expected[0] == expected[1]));
  CHECK(!(expected[1] == expected[2]));
  CHECK(expected[0].images[0] != expected[0].images[1]);
  for (const int64_t workers : {0, 1, 3}) {
    CAPTURE(workers);
    manual_seed(static_cast<uint64_t>(workers) + 5);
    CHECK(!(epochs(workers, 7) == expected));
    manual_seed(1);
    CHECK(epochs(workers, 7) == expected);
    CHECK(!(epochs(workers, 8) == expected));
    const auto resumed = epochs(workers, 7, 1);
    CHECK(resumed[0] == expected[1]);
    CHECK(resumed[1] == expected[2]);
  }
}

TEST_CASE("a batch says which images it has") {
  const Numbered dataset(10);
  DataLoader loader(dataset, {.batch = 4, .seed = 3, .workers = 2});
  for (const auto& batch : loader) {
    const auto labels = batch.labels.values<int64_t>();
    CHECK(batch.samples == std::vector<int64_t>(labels.begin(), labels.end()));
  }
}
