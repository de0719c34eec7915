#pragma once

#include <cstdint>
#include <functional>
#include <utility>
#include <vector>

namespace sinter::data {

class Dataset;

/// Which images an epoch has, in their order, in place of a loader's own shuffling. It depends on the epoch alone.
struct Sampler {
  using Order = std::function<std::vector<int64_t>(int64_t epoch)>;

  int64_t count = 0;  ///< images of an epoch
  Order order;

  Sampler() = default;
  Sampler(int64_t images, Order of_epoch) : count(images), order(std::move(of_epoch)) {}
  explicit operator bool() const { return order != nullptr; }
};

struct WeightedOptions {
  int64_t count = 0;  ///< of an epoch; 0: as many as there are weights
  uint64_t seed = 0;
  bool replacement = true;  ///< an image may come several times
};
/// Images by chance, each as likely as its weight says. Throws Error for a weight that is negative or not finite, when
/// all are 0, and where more are wanted than there are to be had once.
Sampler weighted(std::vector<double> weights, const WeightedOptions& options = {});
/// Every class as likely as every other; asks the dataset for all its labels.
Sampler balanced(const Dataset& dataset, const WeightedOptions& options = {});

struct DistributedOptions {
  int64_t rank = 0, world = 1;  ///< this process, of so many
  uint64_t seed = 0;            ///< the same in all
  bool shuffle = true;
  bool drop_last = false;  ///< all have as many by leaving some out; else by having the first ones again
};
/// This process's part of a dataset of so many images: every world-th of the order that all have in common.
Sampler distributed(int64_t size, const DistributedOptions& options);

}  // namespace sinter::data
