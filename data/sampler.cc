#include "sampler.h"

#include <algorithm>
#include <cmath>
#include <map>
#include <numeric>

#include "../core/error.h"
#include "../core/random.h"
#include "dataset.h"

namespace sinter::data {

Sampler weighted(std::vector<double> weights, const WeightedOptions& options) {
  check(!weights.empty(), "weighted: there are no weights");
  int64_t positive = 0;
  for (size_t i = 0; i < weights.size(); ++i) {
    check(std::isfinite(weights[i]) && weights[i] >= 0, "weighted: weight ", i, " is ", weights[i],
          ", expected 0 or more");
    positive += weights[i] > 0;
  }
  const int64_t count = options.count == 0 ? static_cast<int64_t>(weights.size()) : options.count;
  check(positive > 0, "weighted: all weights are 0");
  check(count > 0, "weighted: count is ", count, ", expected 0 or more");
  check(options.replacement || count <= positive, "weighted: ", count, " images without replacement, but only ",
        positive, " have a weight above 0");
  const uint64_t seed = options.seed;
  if (options.replacement) {
    std::vector<double> up_to(weights.size());
    std::partial_sum(weights.begin(), weights.end(), up_to.begin());
    return {count, [up_to, count, seed](int64_t epoch) {
              Random random(seed ^ stream_of("weighted"), static_cast<uint64_t>(epoch));
              std::vector<int64_t> order;
              for (int64_t i = 0; i < count; ++i) {
                // 48 bits: among millions of images, 24 would leave some out.
                const double u = (random.uniform() + random.uniform() * 0x1p-24) * up_to.back();
                const auto found = std::upper_bound(up_to.begin(), up_to.end(), u);
                order.push_back(found == up_to.end() ? static_cast<int64_t>(up_to.size()) - 1 : found - up_to.begin());
              }
              return order;
            }};
  }
  // The images with the smallest exponential times of their rates come first (Efraimidis and Spirakis, 2006).
  return {count, [weights, count, seed](int64_t epoch) {
            Random random(seed ^ stream_of("weighted"), static_cast<uint64_t>(epoch));
            std::vector<std::pair<double, int64_t>> times;
            for (size_t i = 0; i < weights.size(); ++i) {
              const double time = -std::log(1 - random.uniform() - random.uniform() * 0x1p-24);
              if (weights[i] > 0) times.emplace_back(time / weights[i], static_cast<int64_t>(i));
            }
            std::sort(times.begin(), times.end());
            std::vector<int64_t> order;
            for (int64_t i = 0; i < count; ++i) order.push_back(times[static_cast<size_t>(i)].second);
            return order;
          }};
}

Sampler balanced(const Dataset& dataset, const WeightedOptions& options) {
  std::map<int64_t, int64_t> counts;
  std::vector<int64_t> labels;
  for (int64_t i = 0; i < dataset.size(); ++i) {
    labels.push_back(dataset.label(i));
    ++counts[labels.back()];
  }
  std::vector<double> weights;
  for (const int64_t label : labels) weights.push_back(1 / static_cast<double>(counts[label]));
  return weighted(std::move(weights), options);
}

Sampler distributed(int64_t size, const DistributedOptions& o) {
  check(o.world >= 1 && o.rank >= 0 && o.rank < o.world, "distributed: rank ", o.rank, " of ", o.world,
        ", expected 0..world-1");
  check(size >= 1, "distributed: the dataset has ", size, " images");
  const int64_t each = o.drop_last ? size / o.world : (size + o.world - 1) / o.world;
  check(each >= 1, "distributed: drop_last leaves nothing: ", size, " images for ", o.world, " processes");
  return {each, [=](int64_t epoch) {
            std::vector<int64_t> all(static_cast<size_t>(size));
            std::iota(all.begin(), all.end(), int64_t{0});
            Random random(o.seed ^ stream_of("distributed"), static_cast<uint64_t>(epoch));
            if (o.shuffle)
              for (int64_t i = size - 1; i > 0; --i)
                std::swap(all[static_cast<size_t>(i)], all[static_cast<size_t>(random.below(i + 1))]);
            std::vector<int64_t> mine;
            for (int64_t i = 0; i < each; ++i) mine.push_back(all[static_cast<size_t>((i * o.world + o.rank) % size)]);
            return mine;
          }};
}

}  // namespace sinter::data
