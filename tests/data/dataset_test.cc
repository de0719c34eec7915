#include "../../data/dataset.h"

#include <doctest/doctest.h>

#include <algorithm>

using namespace sinter;
using namespace sinter::data;

namespace {

Tensor bytes(const Shape& shape) {
  Tensor images = Tensor::empty(shape, DType::uint8);
  for (int64_t i = 0; i < images.elements(); ++i) images.mutable_data<uint8_t>()[i] = static_cast<uint8_t>(i * 37);
  return images;
}

Tensor labels(const std::vector<int64_t>& values) {
  return Tensor::from({static_cast<int64_t>(values.size())}, values);
}

}  // namespace

TEST_CASE("ImageDataset normalises each channel exactly") {
  for (const int64_t channels : {1, 2, 3, 4}) {
    const Tensor images = bytes({5, 4, 3, channels});
    const std::vector<double> mean{0.1, 0.2, 0.3, 0.4}, std{0.5, 0.6, 0.7, 0.8};
    const ImageDataset dataset(
        images, labels({4, 3, 2, 1, 0}),
        {.mean = {mean.begin(), mean.begin() + channels}, .std = {std.begin(), std.begin() + channels}});
    CHECK(dataset.size() == 5);
    CHECK(dataset.image_shape() == Shape{4, 3, channels});
    for (int64_t n = 0; n < 5; ++n) {
      const Sample sample = dataset[n];
      CHECK(sample.label == 4 - n);
      REQUIRE(sample.image.spec() == Spec{DType::float32, {1, 4, 3, channels}});
      for (int64_t i = 0; i < 12 * channels; ++i) {
        const auto c = static_cast<size_t>(i % channels);
        const int pixel = images.data<uint8_t>()[n * 12 * channels + i];
        CHECK(sample.image.data<float>()[i] == static_cast<float>((pixel / 255.0 - mean[c]) / std[c]));
      }
    }
    for (size_t c = 0; c < static_cast<size_t>(channels); ++c)
      CHECK(dataset.black()[c] == static_cast<float>(-mean[c] / std[c]));
  }
}

TEST_CASE("ImageDataset defaults to values in 0..1, and one statistic serves all channels") {
  const Tensor images = Tensor::from<uint8_t>({1, 1, 1, 2}, std::vector<uint8_t>{0, 255});
  const ImageDataset plain(images, labels({0}));
  CHECK(plain[0].image.at({0, 0, 0, 0}) == 0);
  CHECK(plain[0].image.at({0, 0, 0, 1}) == 1);
  const ImageDataset centred(images, labels({0}), {.mean = {0.5}, .std = {0.5}});
  CHECK(centred[0].image.at({0, 0, 0, 0}) == -1);
  CHECK(centred[0].image.at({0, 0, 0, 1}) == 1);
}

TEST_CASE("ImageDataset: grey images need no channel axis, copies and `take` share the images") {
  const Tensor images = bytes({6, 4, 4});
  const ImageDataset dataset(images, labels({0, 1, 2, 0, 1, 2}), {.classes = {"a", "b", "c"}});
  CHECK(dataset.image_shape() == Shape{4, 4, 1});
  CHECK(dataset.classes() == std::vector<std::string>{"a", "b", "c"});
  const int64_t live = allocator_stats().live_bytes;
  const ImageDataset few = dataset.take(2), all = dataset.take(100);
  CHECK(allocator_stats().live_bytes == live);
  CHECK(few.size() == 2);
  CHECK(all.size() == 6);
  CHECK(few.classes() == dataset.classes());
  CHECK(std::ranges::equal(few[1].image.values<float>(), dataset[1].image.values<float>()));
  CHECK_THROWS_WITH_AS(few[2], "dataset: image 2 was asked for, there are 2", Error);
  CHECK_THROWS_WITH_AS(few[-1], "dataset: image -1 was asked for, there are 2", Error);
  CHECK_THROWS_WITH_AS(dataset.take(-1), "take: -1 images were asked for", Error);
  CHECK(dataset.take(0).size() == 0);
}

TEST_CASE("ImageDataset says what does not fit") {
  const Tensor images = bytes({2, 4, 4, 3});
  const auto make = [](const Tensor& x, const Tensor& y, const ImageDatasetOptions& options = {}) {
    ImageDataset(x, y, options);
  };
  CHECK_THROWS_WITH_AS(make(Tensor::zeros({2, 4, 4, 3}), labels({0, 1})),
                       "ImageDataset: images are float32 [2,4,4,3], expected uint8 [N,H,W,C] or [N,H,W]", Error);
  CHECK_THROWS_WITH_AS(make(bytes({2, 4}), labels({0, 1})),
                       "ImageDataset: images are uint8 [2,4], expected uint8 [N,H,W,C] or [N,H,W]", Error);
  CHECK_THROWS_WITH_AS(make(bytes({2, 0, 4}), labels({0, 1})), "ImageDataset: images of [0,4,1] have no pixels", Error);
  CHECK_THROWS_WITH_AS(make(images, Tensor::zeros({2})), "ImageDataset: labels are float32 [2], expected int64 [N]",
                       Error);
  CHECK_THROWS_WITH_AS(make(images, labels({0})), "ImageDataset: 2 images, but 1 labels", Error);
  CHECK_THROWS_WITH_AS(make(images, labels({0, -1})), "ImageDataset: label -1 of image 1 is negative", Error);
  CHECK_THROWS_WITH_AS(make(images, labels({0, 2}), {.classes = {"a", "b"}}),
                       "ImageDataset: label 2 of image 1 is outside 0..1", Error);
  CHECK_THROWS_WITH_AS(make(images, labels({0, 1}), {.mean = {0, 0}}),
                       "ImageDataset: 2 values of mean for images of 3 channels", Error);
  CHECK_THROWS_WITH_AS(make(images, labels({0, 1}), {.std = {1, 0, 1}}),
                       "ImageDataset: std of channel 1 is 0, expected more than 0", Error);
  CHECK_THROWS_WITH_AS(make(images, labels({0, 1}), {.mean = {1.0 / 0.0}}), "ImageDataset: mean is inf", Error);
}
