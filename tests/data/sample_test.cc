#include "../../data/sample.h"

#include <doctest/doctest.h>

#include <algorithm>

#include "../../data/data_loader.h"

using namespace sinter;
using namespace sinter::data;

namespace {

// Image i has i % 3 boxes, a mask full of i and a vector of two values, as other inputs of a network are.
struct Things final : Dataset {
  int64_t size() const override { return 10; }
  Shape image_shape() const override { return {2, 3, 1}; }
  Sample sample(int64_t index) const override {
    const auto value = static_cast<double>(index);
    return {.image = Tensor::full({1, 2, 3, 1}, value),
            .label = index % 4,
            .targets = {{"mask", Tensor::full({2, 3}, value, DType::int64)},
                        {"other", Tensor::from({2}, {static_cast<float>(index), 0.5f})},
                        {"value", Tensor::full({}, value)}},
            .lists = {{"boxes", Tensor::full({index % 3, 4}, value)}}};
  }
};

Sample sample(int64_t index, const Shape& image, Tensors targets = {}, Tensors lists = {}) {
  return {.image = Tensor::full(image, static_cast<double>(index)),
          .label = index,
          .targets = std::move(targets),
          .lists = std::move(lists),
          .index = index};
}

}  // namespace

TEST_CASE("a batch carries the samples' targets one behind the other, and their lists one by one") {
  const Things dataset;
  for (const int64_t workers : {0, 2}) {
    DataLoader loader(dataset, {.batch = 4, .seed = 3, .workers = workers});
    int64_t seen = 0;
    for (const auto& batch : loader) {
      const auto count = static_cast<int64_t>(batch.samples.size());
      REQUIRE(batch["mask"].spec() == Spec{DType::int64, {count, 2, 3}});
      REQUIRE(batch["other"].spec() == Spec{DType::float32, {count, 2}});
      REQUIRE(batch["value"].spec() == Spec{DType::float32, {count}});
      REQUIRE(batch.list("boxes").size() == batch.samples.size());
      for (int64_t i = 0; i < count; ++i) {
        const int64_t index = batch.samples[static_cast<size_t>(i)];
        CHECK(batch.images.at({i, 1, 2, 0}) == static_cast<float>(index));
        CHECK(batch.labels.at<int64_t>({i}) == index % 4);
        CHECK(batch["mask"].at<int64_t>({i, 1, 2}) == index);
        CHECK(batch["other"].at({i, 0}) == static_cast<float>(index));
        CHECK(batch["value"].at({i}) == static_cast<float>(index));
        CHECK(batch.list("boxes")[static_cast<size_t>(i)].shape() == Shape{index % 3, 4});
        ++seen;
      }
    }
    CHECK(seen == 10);
  }
}

TEST_CASE("samples and batches say which names they have") {
  const Things dataset;
  const Sample one = dataset[1];
  CHECK(one["mask"].at<int64_t>({0, 0}) == 1);
  CHECK(one.list("boxes").shape() == Shape{1, 4});
  CHECK_THROWS_WITH_AS(one["masks"], R"(sample has no target "masks" (there are: "mask", "other", "value"))", Error);
  CHECK_THROWS_WITH_AS(one["boxes"],
                       R"(sample has no target "boxes" (there are: "mask", "other", "value"); list("boxes") has it)",
                       Error);
  const Batch batch = collate({dataset[0], dataset[1]});
  CHECK_THROWS_WITH_AS(batch.list("mask"),
                       R"(batch has no list "mask" (there are: "boxes"); operator[]("mask") has it)", Error);
  CHECK_THROWS_WITH_AS(Batch{}["mask"], R"(batch has no target "mask" (there are: none))", Error);
}

TEST_CASE("collate says which samples do not go together") {
  const Tensor mask = Tensor::zeros({2, 2});
  const auto message = [](const Sample& a, const Sample& b) {
    try {
      collate({a, b});
    } catch (const Error& error) {
      return std::string(error.what());
    }
    return std::string("no error");
  };
  CHECK(
      message(sample(3, {1, 2, 2, 1}), sample(5, {1, 2, 3, 1})) ==
      "collate: the image of sample 5 is float32 [1,2,3,1], that of sample 3 float32 [1,2,2,1]: a batch needs them of "
      "one shape and type, or a collate of your own");
  CHECK(message(sample(3, {1, 2, 2, 1}, {{"a", mask}}), sample(5, {1, 2, 2, 1}, {{"b", mask}})) ==
        R"(collate: targets of sample 5 are "b", those of sample 3 "a")");
  CHECK(
      message(sample(3, {1, 2, 2, 1}, {{"a", mask}}), sample(5, {1, 2, 2, 1}, {{"a", mask.to(DType::int64)}})) ==
      "collate: \"a\" of sample 5 is int64 [2,2], that of sample 3 float32 [2,2]: a batch needs them of one shape and "
      "type, or a collate of your own");
  CHECK(message(sample(3, {1, 2, 2, 1}), sample(5, {1, 2, 2, 1}, {}, {{"a", mask}})) ==
        R"(collate: lists of sample 5 are "a", those of sample 3 none)");
  CHECK(message(sample(3, {1, 2, 2, 1}, {{"a", Tensor()}}), sample(5, {1, 2, 2, 1}, {{"a", mask}})) ==
        R"(collate: "a" of sample 3 is undefined)");
  CHECK(message({}, {}) == "collate: the image of sample 0 is undefined, expected float32 [1,H,W,C]");
  CHECK_THROWS_WITH_AS(collate({}), "collate: there are no samples", Error);
}

TEST_CASE("a collate of one's own makes batches of images that differ in size") {
  struct Growing final : Dataset {
    int64_t size() const override { return 6; }
    Shape image_shape() const override { return {6, 6, 1}; }
    Sample sample(int64_t index) const override { return {.image = Tensor::ones({1, index + 1, index + 1, 1})}; }
  };
  const Growing dataset;
  for (const int64_t workers : {0, 1}) {
    DataLoader plain(dataset, {.batch = 3, .shuffle = false, .workers = workers});
    CHECK_THROWS_WITH_AS(plain.begin(),
                         "collate: the image of sample 1 is float32 [1,2,2,1], that of sample 0 float32 [1,1,1,1]: a "
                         "batch needs them of one shape and type, or a collate of your own",
                         Error);
  }
  const auto padded = [](std::vector<Sample> samples) {
    Batch batch;
    batch.images = Tensor::zeros({static_cast<int64_t>(samples.size()), 6, 6, 1});
    float* out = batch.images.mutable_data<float>();
    for (size_t i = 0; i < samples.size(); ++i)
      for (int64_t y = 0; y < samples[i].image.size(1); ++y)
        std::fill_n(out + (static_cast<int64_t>(i) * 6 + y) * 6, samples[i].image.size(2), 1.0f);
    batch.targets["noise"] = Tensor::full({}, default_random().uniform());
    return batch;
  };
  const auto sums = [&](int64_t workers, uint64_t seed) {
    manual_seed(1);
    DataLoader loader(dataset, {.batch = 3, .seed = seed, .shuffle = false, .workers = workers, .collate = padded});
    std::vector<float> all;
    for (const auto& batch : loader) {
      float sum = 0;
      for (const float v : batch.images.values<float>()) sum += v;
      all.push_back(sum);
      CHECK(batch.samples[0] == batch.index * 3);
      all.push_back(batch["noise"].item());
    }
    return all;
  };
  const auto expected = sums(0, 5);
  CHECK(expected[0] == 1 + 4 + 9);
  CHECK(expected[2] == 16 + 25 + 36);
  CHECK(expected[1] != expected[3]);
  for (const int64_t workers : {1, 2}) CHECK(sums(workers, 5) == expected);
  CHECK(sums(0, 6)[1] != expected[1]);
}

TEST_CASE("a loader does not write to what its dataset keeps") {
  struct Kept final : Dataset {
    Tensor image = Tensor::arange(6);
    Kept() : image(Tensor::from({1, 2, 3, 1}, {0, 1, 2, 3, 4, 5})) {}
    int64_t size() const override { return 4; }
    Shape image_shape() const override { return {2, 3, 1}; }
    Sample sample(int64_t) const override { return {.image = image}; }
  };
  const Kept dataset;
  for (const int64_t workers : {0, 2})
    for (const auto& batch : DataLoader(dataset, {.batch = 2, .workers = workers, .augment = {horizontal_flip(1)}}))
      CHECK(batch.images.at({1, 0, 0, 0}) == 2);
  CHECK(dataset.image.at({0, 0, 0, 0}) == 0);
}

TEST_CASE("a dataset may have no labels, and says what it lacks") {
  struct Unfinished final : Dataset {
    int64_t size() const override { return 1; }
    Shape image_shape() const override { return {2, 3, 1}; }
  };
  const Unfinished dataset;
  CHECK(dataset.label(0) == 0);
  CHECK_THROWS_WITH_AS(dataset[0],
                       "dataset: it overrides neither read nor sample, or has images that only sample gives", Error);
  struct Wrong final : Dataset {
    int64_t size() const override { return 1; }
    Shape image_shape() const override { return {2, 3, 1}; }
    Sample sample(int64_t) const override { return {.image = Tensor::zeros({2, 3, 1})}; }
  };
  const Wrong wrong;
  CHECK_THROWS_WITH_AS(DataLoader(wrong, {.workers = 0}).begin(),
                       "DataLoader: image 0 of the dataset is float32 [2,3,1], expected float32 [1,H,W,C]", Error);
}
