#include "data_loader.h"

#include <algorithm>
#include <chrono>
#include <condition_variable>
#include <exception>
#include <mutex>
#include <numeric>
#include <optional>
#include <string_view>
#include <system_error>
#include <thread>
#include <utility>

#include "../core/autograd.h"
#include "../core/profiler.h"

namespace sinter::data {

namespace {

constexpr int64_t kMostWorkers = 1024;
constexpr std::string_view kPurpose = "data_loader";

// One generator for each (seed, epoch, item): an item is an image, or kShuffle.
constexpr uint64_t kShuffle = ~uint64_t{0};
Random random_for(std::string_view purpose, uint64_t seed, int64_t epoch, uint64_t item) {
  const auto words = philox(seed ^ stream_of(purpose), static_cast<uint64_t>(epoch), item);
  return Random(uint64_t{words[0]} << 32 | words[1], uint64_t{words[2]} << 32 | words[3]);
}

// The first `count` images of an epoch. How many are asked for does not change which come first.
std::vector<int64_t> shuffled(int64_t size, int64_t count, Random random) {
  std::vector<int64_t> order(static_cast<size_t>(size));
  std::iota(order.begin(), order.end(), int64_t{0});
  for (int64_t i = 0; i < std::min(count, size - 1); ++i)
    std::swap(order[static_cast<size_t>(i)], order[static_cast<size_t>(i + random.below(size - i))]);
  order.resize(static_cast<size_t>(count));
  return order;
}

}  // namespace

struct DataLoader::State {
  const Dataset* dataset;
  DataLoaderOptions options;
  Shape image_shape;                  // [H,W,C]
  std::vector<float> black, white{};  // [C]
  int64_t images = 0;                 // of an epoch
  int64_t batches = 0;                // of an epoch
  int64_t next_epoch = 0, next_batch = 0;
  double waited = 0;

  Batch make(int64_t epoch, int64_t index, const std::vector<int64_t>& order, uint64_t read_seed) const;
};

namespace {

// Gives the thread its `default_random()` back.
struct DefaultRandom {
  Random before = default_random();
  DefaultRandom() = default;
  ~DefaultRandom() { default_random() = before; }
  DefaultRandom(const DefaultRandom&) = delete;
  DefaultRandom& operator=(const DefaultRandom&) = delete;
};

}  // namespace

// `read_seed`: of what images draw from `default_random()`.
Batch DataLoader::State::make(int64_t epoch, int64_t index, const std::vector<int64_t>& order,
                              uint64_t read_seed) const {
  const int64_t first = index * options.batch, count = std::min(options.batch, images - first);
  const DefaultRandom restored;
  std::vector<Sample> samples;
  std::vector<int64_t> indices;
  for (int64_t i = 0; i < count; ++i) {
    const int64_t item = order.empty() ? first + i : order[static_cast<size_t>(first + i)];
    indices.push_back(item);
    default_random() = random_for("dataset", read_seed, epoch, static_cast<uint64_t>(item));
    Sample sample = dataset->sample(item);
    sample.index = item;
    check(sample.image.defined() && sample.image.dtype() == DType::float32 && sample.image.rank() == 4 &&
              sample.image.size(0) == 1,
          "DataLoader: image ", item, " of the dataset is ",
          sample.image.defined() ? to_string(sample.image.spec()) : "undefined", ", expected float32 [1,H,W,C]");
    Random random = random_for(kPurpose, options.seed, epoch, static_cast<uint64_t>(item));
    AugmentContext context{.random = random,
                           .index = item,
                           .epoch = epoch,
                           .black = black,
                           .white = white,
                           .mask_fill = dataset->mask_fill(),
                           .dataset = dataset};
    for (const auto& augmentation : options.augment) augmentation(sample, context);
    samples.push_back(std::move(sample));
  }
  default_random() = random_for("collate", read_seed, epoch, static_cast<uint64_t>(index));
  Batch batch = options.collate != nullptr ? options.collate(std::move(samples)) : collate(samples);
  batch.index = index;
  batch.samples = std::move(indices);
  return batch;
}

/// One pass: workers claim batches in order and put them into a ring of slots, the loop takes them in order.
class DataLoader::Run {
 public:
  Run(State& state, int64_t epoch, int64_t first) : state_(state), epoch_(epoch), claimed_(first), taken_(first) {
    constexpr uint64_t kOdd = 0x9e3779b97f4a7c15;
    read_seed_ = state.options.seed + kOdd * default_random().seed();
    const int64_t size = state.dataset->size();
    if (const Sampler& sampler = state.options.sampler; sampler) {
      order_ = sampler.order(epoch);
      check(static_cast<int64_t>(order_.size()) == sampler.count, "DataLoader: the sampler gave ", order_.size(),
            " images for epoch ", epoch, ", expected ", sampler.count);
      for (const int64_t item : order_)
        check(item >= 0 && item < size, "DataLoader: the sampler gave image ", item, ", there are ", size);
    } else if (state.options.shuffle)
      order_ = shuffled(size, state.images, random_for(kPurpose, state.options.seed, epoch, kShuffle));
  }
  ~Run() {
    {
      const std::lock_guard lock(mutex_);
      stop_ = true;
    }
    room_.notify_all();
    for (auto& worker : workers_) worker.join();
  }
  Run(const Run&) = delete;
  Run& operator=(const Run&) = delete;

  void start() {
    const int64_t left = state_.batches - taken_, workers = std::min(state_.options.workers, left);
    slots_.resize(static_cast<size_t>(std::min(std::max(state_.options.prefetch, state_.options.workers), left)));
    try {
      for (int64_t i = 0; i < workers; ++i) workers_.emplace_back([this] { work(); });
    } catch (const std::system_error& error) {
      fail("DataLoader: of ", workers, " workers, ", workers_.size(), " could be started: ", error.what());
    }
  }

  // To the next batch, or to none after the last.
  void advance() {
    current_.reset();  // its memory can serve the next one
    const Profiler::Scope scope("wait for data");
    const auto before = std::chrono::steady_clock::now();
    if (state_.options.workers > 0)
      take();
    else if (taken_ < state_.batches)
      current_ = state_.make(epoch_, taken_++, order_, read_seed_);
    state_.waited += std::chrono::duration<double>(std::chrono::steady_clock::now() - before).count();
  }

  std::optional<Batch>& current() { return current_; }

 private:
  struct Slot {
    std::optional<Batch> batch;
    std::exception_ptr error;
  };

  Slot& slot(int64_t index) { return slots_[static_cast<size_t>(index) % slots_.size()]; }

  void take() {
    std::unique_lock lock(mutex_);
    if (taken_ == state_.batches) return;
    Slot& next = slot(taken_);
    ready_.wait(lock, [&] { return next.batch || next.error; });
    ++taken_;
    room_.notify_one();
    current_ = std::exchange(next.batch, std::nullopt);
    if (next.error) std::rethrow_exception(std::exchange(next.error, nullptr));
  }

  void work() {
    std::unique_lock lock(mutex_);
    for (;;) {
      room_.wait(lock, [&] { return stop_ || claimed_ < taken_ + static_cast<int64_t>(slots_.size()); });
      if (stop_ || claimed_ == state_.batches) return;
      const int64_t index = claimed_++;
      lock.unlock();
      Slot made;
      try {
        made.batch = state_.make(epoch_, index, order_, read_seed_);
      } catch (...) {
        made.error = std::current_exception();
      }
      lock.lock();
      slot(index) = std::move(made);
      ready_.notify_one();
    }
  }

  State& state_;
  const int64_t epoch_;
  uint64_t read_seed_ = 0;
  std::vector<int64_t> order_;
  std::optional<Batch> current_;

  std::mutex mutex_;  // for what follows
  std::condition_variable room_, ready_;
  std::vector<Slot> slots_;
  int64_t claimed_, taken_;  // the next batch for a worker, for the loop
  bool stop_ = false;

  std::vector<std::thread> workers_;
};

DataLoader::DataLoader(const Dataset& dataset, const DataLoaderOptions& options)
    : state_(new State{
          .dataset = &dataset, .options = options, .image_shape = dataset.image_shape(), .black = dataset.black()}) {
  const int64_t size = options.sampler && dataset.size() > 0 ? options.sampler.count : dataset.size();
  const int64_t batch = options.batch;
  check(batch >= 1, "DataLoader: batch is ", batch, ", expected at least 1");
  check(options.batches >= 0, "DataLoader: batches is ", options.batches, ", expected 0 (no limit) or more");
  check(options.workers >= 0 && options.workers <= kMostWorkers, "DataLoader: workers is ", options.workers,
        ", expected 0 to ", kMostWorkers);
  check(options.prefetch >= 0, "DataLoader: prefetch is ", options.prefetch, ", expected 0 or more");
  for (size_t i = 0; i < options.augment.size(); ++i)
    check(static_cast<bool>(options.augment[i]), "DataLoader: augment[", i, "] is empty");
  const Shape& shape = state_->image_shape;
  check(shape.rank() == 3, "DataLoader: images of the dataset are ", shape, ", expected [H,W,C]");
  check(static_cast<int64_t>(state_->black.size()) == shape[2], "DataLoader: the dataset names ", state_->black.size(),
        " values of black for images ", shape);
  state_->white = dataset.white();
  check(size > 0, "DataLoader: the dataset is empty");
  check(!options.drop_last || size >= batch, "DataLoader: drop_last leaves no batch: batch is ", batch,
        ", the dataset has ", size, " images");

  const int64_t all = size / batch + (size % batch != 0 && !options.drop_last ? 1 : 0);
  state_->batches = options.batches == 0 ? all : std::min(options.batches, all);
  state_->images = state_->batches > size / batch ? size : state_->batches * batch;
}

DataLoader::DataLoader(DataLoader&&) noexcept = default;
DataLoader& DataLoader::operator=(DataLoader&&) noexcept = default;
DataLoader::~DataLoader() = default;

int64_t DataLoader::batches() const { return state_->batches; }
double DataLoader::waited() const { return state_->waited; }

DataLoader& DataLoader::epoch(int64_t epoch, int64_t first_batch) & {
  check(epoch >= 0, "DataLoader: epoch ", epoch, " was asked for, the first is 0");
  check(first_batch >= 0 && first_batch <= batches(), "DataLoader: batch ", first_batch,
        " was asked for, an epoch has ", batches());
  state_->next_epoch = epoch;
  state_->next_batch = first_batch;
  return *this;
}

DataLoader::Iterator DataLoader::begin() {
  auto run = std::make_unique<Run>(*state_, state_->next_epoch++, std::exchange(state_->next_batch, 0));
  run->start();
  Iterator first(std::move(run));
  return std::move(++first);
}

DataLoader::Iterator::Iterator(std::unique_ptr<Run> run) : run_(std::move(run)) {}
DataLoader::Iterator::Iterator(Iterator&&) noexcept = default;
DataLoader::Iterator& DataLoader::Iterator::operator=(Iterator&&) noexcept = default;
DataLoader::Iterator::~Iterator() = default;

Batch& DataLoader::Iterator::operator*() const { return *run_->current(); }
DataLoader::Iterator& DataLoader::Iterator::operator++() {
  run_->advance();
  return *this;
}
bool DataLoader::Iterator::operator==(std::default_sentinel_t) const { return !run_->current(); }

}  // namespace sinter::data
