#include "../../data/sampler.h"

#include <cmath>
#include <set>

#include "../../data/data_loader.h"
#include "../../data/tensor_dataset.h"
#include "../support.h"

using namespace sinter;
using namespace sinter::data;

TEST_CASE("weighted sampling takes images as often as they weigh") {
  const Sampler s = weighted({1, 0, 3, 6}, {.count = 20000, .seed = 3});
  std::vector<int64_t> counts(4);
  for (const int64_t i : s.order(0)) ++counts[static_cast<size_t>(i)];
  CHECK(counts[1] == 0);
  CHECK(std::abs(static_cast<double>(counts[0]) - 2000) < 220);
  CHECK(std::abs(static_cast<double>(counts[2]) - 6000) < 330);
  CHECK(s.order(1) == s.order(1));
  CHECK(s.order(1) != s.order(0));
  const Sampler once = weighted({1, 0, 3, 6, 2}, {.count = 4, .replacement = false});
  int first = 0;
  for (int64_t epoch = 0; epoch < 2000; ++epoch) {
    const auto order = once.order(epoch);
    CHECK(std::set<int64_t>(order.begin(), order.end()) == std::set<int64_t>{0, 2, 3, 4});
    first += order[0] == 3;
  }
  CHECK(std::abs(first - 1000) < 120);
  CHECK_ERROR(weighted({}), "weighted: there are no weights");
  CHECK_ERROR(weighted({1, -1}), "weighted: weight 1 is -1, expected 0 or more");
  CHECK_ERROR(weighted({0, 0}), "weighted: all weights are 0");
  CHECK_ERROR(weighted({1, 0}, {.replacement = false}),
              "weighted: 2 images without replacement, but only 1 have a weight above 0");
}

TEST_CASE("a balanced epoch has all classes alike, in a loader too") {
  std::vector<int64_t> labels;
  for (int64_t i = 0; i < 200; ++i) labels.push_back(i < 180 ? 0 : i < 195 ? 1 : 2);
  const TensorDataset dataset(Tensor::zeros({200, 2, 2, 1}), {.labels = Tensor::from({200}, labels)});
  const Sampler sampler = balanced(dataset, {.count = 3000});
  std::vector<int64_t> counts(3);
  std::vector<int64_t> seen;
  DataLoader loader(dataset, {.batch = 64, .sampler = sampler, .workers = 2});
  CHECK(loader.batches() == 47);
  for (const auto& batch : loader)
    for (size_t i = 0; i < batch.samples.size(); ++i) {
      ++counts[static_cast<size_t>(batch.labels.data<int64_t>()[i])];
      seen.push_back(batch.samples[i]);
    }
  for (const int64_t count : counts) CHECK(std::abs(static_cast<double>(count) - 1000) < 150);
  CHECK(seen == sampler.order(0));
  DataLoader wrong(dataset, {.sampler = {2, [](int64_t) { return std::vector<int64_t>{0, 200}; }}});
  CHECK_ERROR(wrong.begin(), "DataLoader: the sampler gave image 200, there are 200");
}

TEST_CASE("the parts of several processes are all images, in the same order everywhere") {
  for (const int64_t size : {12, 13}) {
    std::multiset<int64_t> all;
    std::vector<int64_t> first;
    for (int64_t rank = 0; rank < 4; ++rank) {
      const Sampler s = distributed(size, {.rank = rank, .world = 4, .seed = 5});
      CHECK(s.count == (size + 3) / 4);
      const auto part = s.order(2);
      all.insert(part.begin(), part.end());
    }
    for (int64_t i = 0; i < size; ++i) CHECK(all.contains(i));
    CHECK(static_cast<int64_t>(all.size()) == (size + 3) / 4 * 4);
  }
  const Sampler plain = distributed(10, {.rank = 1, .world = 3, .shuffle = false, .drop_last = true});
  CHECK(plain.order(0) == std::vector<int64_t>{1, 4, 7});
  CHECK_ERROR(distributed(10, {.rank = 3, .world = 3}), "distributed: rank 3 of 3, expected 0..world-1");
}
