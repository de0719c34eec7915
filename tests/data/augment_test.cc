#include "../../data/augment.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <map>
#include <utility>

#include "../../core/error.h"
#include "../../data/data_loader.h"

using namespace sinter;
using namespace sinter::data;

namespace {

// An image whose every value tells where it came from; black is -1 - channel.
struct Example {
  int64_t height, width, channels;
  std::vector<float> black;
  Sample sample;

  Example(int64_t h, int64_t w, int64_t c) : height(h), width(w), channels(c) {
    for (int64_t i = 0; i < c; ++i) black.push_back(static_cast<float>(-1 - i));
    sample.image = Tensor::empty({1, h, w, c});
    for (int64_t i = 0; i < h * w * c; ++i) sample.image.mutable_data<float>()[i] = static_cast<float>(i);
  }
  void change(const Augmentation& augmentation, Random& random) {
    AugmentContext context{.random = random, .black = black};
    augmentation(sample, context);
  }
  float original(int64_t y, int64_t x, int64_t c) const {
    if (y < 0 || y >= height || x < 0 || x >= width) return black[static_cast<size_t>(c)];
    return static_cast<float>((y * width + x) * channels + c);
  }
  // Whether every pixel (y, x) is the original (y + down, x + right), or (y, width - 1 - x).
  bool is_shifted(int64_t down, int64_t right) const {
    bool same = true;
    for (int64_t y = 0; y < height; ++y)
      for (int64_t x = 0; x < width; ++x)
        for (int64_t c = 0; c < channels; ++c) same = same && at(y, x, c) == original(y + down, x + right, c);
    return same;
  }
  bool is_mirrored() const {
    bool same = true;
    for (int64_t y = 0; y < height; ++y)
      for (int64_t x = 0; x < width; ++x)
        for (int64_t c = 0; c < channels; ++c) same = same && at(y, x, c) == original(y, width - 1 - x, c);
    return same;
  }
  float at(int64_t y, int64_t x, int64_t c) const { return sample.image.data<float>()[(y * width + x) * channels + c]; }
};

}  // namespace

TEST_CASE("pad_crop shifts by every distance equally often") {
  for (const int64_t channels : {1, 2, 3}) {
    const Augmentation augmentation = pad_crop(2);
    std::map<std::pair<int64_t, int64_t>, int> counts;
    constexpr int kTries = 5000;
    Random random(3, static_cast<uint64_t>(channels));
    for (int i = 0; i < kTries; ++i) {
      Example example(7, 5, channels);
      example.change(augmentation, random);
      int matches = 0;
      for (int64_t down = -2; down <= 2; ++down)
        for (int64_t right = -2; right <= 2; ++right)
          if (example.is_shifted(down, right)) {
            ++counts[{down, right}];
            ++matches;
          }
      REQUIRE(matches == 1);
    }
    CHECK(counts.size() == 25);
    for (const auto& [shift, count] : counts) CHECK(std::abs(count - kTries / 25) < 5 * std::sqrt(kTries / 25));
  }
}

TEST_CASE("pad_crop may shift an image out of itself, and padding 0 leaves it alone") {
  Random random(1);
  int black = 0;
  for (int i = 0; i < 200; ++i) {
    Example example(3, 2, 3);
    example.change(pad_crop(6), random);
    bool found = false;
    for (int64_t down = -6; down <= 6; ++down)
      for (int64_t right = -6; right <= 6; ++right) found = found || example.is_shifted(down, right);
    CHECK(found);
    black += example.is_shifted(3, 0);
    example.change(pad_crop(0), random);
  }
  CHECK(black > 50);
  Example example(3, 2, 3);
  example.change(pad_crop(0), random);
  CHECK(example.is_shifted(0, 0));
}

TEST_CASE("horizontal_flip mirrors with its probability") {
  for (const int64_t channels : {1, 3, 4})
    for (const int64_t width : {1, 5, 6})
      for (const double probability : {0.0, 0.25, 0.5, 1.0}) {
        const Augmentation augmentation = horizontal_flip(probability);
        Random random(5, static_cast<uint64_t>(width));
        int mirrored = 0;
        constexpr int kTries = 2000;
        for (int i = 0; i < kTries; ++i) {
          Example example(3, width, channels);
          example.change(augmentation, random);
          REQUIRE((example.is_mirrored() || example.is_shifted(0, 0)));
          mirrored += example.is_mirrored();
        }
        if (width == 1)
          CHECK(mirrored == kTries);
        else
          CHECK(std::abs(mirrored - probability * kTries) <= 5 * std::sqrt(kTries * probability * (1 - probability)));
      }
}

namespace {

// Grey 0, and 1 in a rectangle that the mask and a box tell of; sides of the rectangle are at least 4.
Sample marked(uint64_t seed, int64_t height = 24, int64_t width = 20) {
  Random random(seed);
  Tensor image = Tensor::zeros({1, height, width, 1});
  Tensor mask = Tensor::zeros({height, width}, DType::int64);
  const int64_t h = 4 + random.below(8), w = 4 + random.below(8);
  const int64_t top = random.below(height - h + 1), left = random.below(width - w + 1);
  for (int64_t y = top; y < top + h; ++y)
    for (int64_t x = left; x < left + w; ++x) {
      image.mutable_data<float>()[y * width + x] = 1;
      mask.mutable_data<int64_t>()[y * width + x] = 1;
    }
  std::vector<float> box;
  for (const int64_t v : {left, top, left + w, top + h}) box.push_back(static_cast<float>(v));
  return {.image = image,
          .label = 3,
          .targets = {{"mask", mask}},
          .lists = {{"boxes", Tensor::from({1, 4}, box)},
                    {"classes", Tensor::full({1}, 5, DType::int64)},
                    {"box_area", Tensor::full({1}, static_cast<double>(h * w))}}};
}

struct Marked final : Dataset {
  int64_t height = 24, width = 20;
  int64_t size() const override { return 40; }
  Shape image_shape() const override { return {height, width, 1}; }
  Sample sample(int64_t index) const override { return marked(static_cast<uint64_t>(index), height, width); }
};

// How many pixels of the mask are not those that are bright, and how far the boxes are from the bright pixels that they
// should enclose, at most; boxes and mask belong to the image that there is now.
void check_together(const Sample& s, double wrong_part, double distance) {
  const int64_t height = s.image.size(1), width = s.image.size(2);
  REQUIRE(s["mask"].shape() == Shape{height, width});
  const auto bright = [&](int64_t y, int64_t x) { return s.image.data<float>()[y * width + x] > 0.5f; };
  int64_t wrong = 0, marked = 0;
  for (int64_t y = 0; y < height; ++y)
    for (int64_t x = 0; x < width; ++x) {
      wrong += bright(y, x) != (s["mask"].data<int64_t>()[y * width + x] == 1);
      marked += bright(y, x);
    }
  CHECK(static_cast<double>(wrong) <= wrong_part * static_cast<double>(std::max<int64_t>(marked, 20)));
  const Tensor& boxes = s.list("boxes");
  const int64_t count = boxes.size(0);
  CHECK(s.list("classes").shape() == Shape{count});
  CHECK(s.list("box_area").shape() == Shape{count});
  for (int64_t i = 0; i < count; ++i) {
    const float* b = boxes.data<float>() + 4 * i;
    CHECK(b[0] >= 0);
    CHECK(b[1] >= 0);
    CHECK(b[2] <= static_cast<float>(width));
    CHECK(b[3] <= static_cast<float>(height));
    CHECK(s.list("classes").data<int64_t>()[i] == 5);
  }
  if (count != 1 || marked == 0) return;
  double x1 = 1e9, y1 = 1e9, x2 = 0, y2 = 0;
  for (int64_t y = 0; y < height; ++y)
    for (int64_t x = 0; x < width; ++x)
      if (bright(y, x)) {
        x1 = std::min(x1, static_cast<double>(x)), x2 = std::max(x2, static_cast<double>(x + 1));
        y1 = std::min(y1, static_cast<double>(y)), y2 = std::max(y2, static_cast<double>(y + 1));
      }
  const float* b = boxes.data<float>();
  CHECK(std::abs(static_cast<double>(b[0]) - x1) <= distance);
  CHECK(std::abs(static_cast<double>(b[1]) - y1) <= distance);
  CHECK(std::abs(static_cast<double>(b[2]) - x2) <= distance);
  CHECK(std::abs(static_cast<double>(b[3]) - y2) <= distance);
}

void change(Sample& sample, const Augmentation& augmentation, uint64_t seed, const Dataset* dataset = nullptr) {
  Random random(seed, 9);
  AugmentContext context{.random = random, .black = {0}, .white = {1}, .dataset = dataset};
  augmentation(sample, context);
}

}  // namespace

TEST_CASE("masks and boxes go where their picture goes") {
  struct Case {
    Augmentation augmentation;
    double wrong, distance;
  };
  const std::vector<Case> cases{{pad_crop(6), 0, 0},
                                {horizontal_flip(), 0, 0},
                                {vertical_flip(), 0, 0},
                                {random_crop({13, 11}), 0, 0},
                                {random_crop({40, 11}), 0, 0},
                                {center_crop({30, 10}), 0, 0},
                                {resize_to({48, 40}), 0.05, 0.51},
                                {resize_to({12, 10, "area"}), 0.6, 1},
                                {letterbox({40, 40}), 0.4, 1},
                                {random_scale({0.7, 1.4}), 0.5, 1.1},
                                {affine({.shift = 0.3}), 0.5, 1.1},
                                {sometimes(0.5, vertical_flip(1)), 0, 0}};
  for (size_t i = 0; i < cases.size(); ++i)
    for (uint64_t seed = 0; seed < 60; ++seed) {
      CAPTURE(i);
      CAPTURE(seed);
      Sample sample = marked(seed);
      change(sample, cases[i].augmentation, seed);
      check_together(sample, cases[i].wrong, cases[i].distance);
      CHECK(sample.label == 3);
    }
}

TEST_CASE("a turned picture is turned counter-clockwise about its middle, and its mask with it") {
  // A quarter turn of a bright right half makes a bright upper half.
  Sample sample{.image = Tensor::zeros({1, 8, 8, 1}), .targets = {{"mask", Tensor::zeros({8, 8}, DType::uint8)}}};
  for (int64_t i = 0; i < 64; ++i) sample.image.mutable_data<float>()[i] = i % 8 >= 4 ? 1.0f : 0.0f;
  for (uint64_t seed = 0; seed < 200; ++seed) {
    Sample turned = sample;
    Random random(seed, 9);
    Random same = random;
    AugmentContext context{.random = random, .black = {0}};
    rotate(90)(turned, context);
    same.uniform();
    const double degrees = -90 + 180 * same.uniform();
    if (degrees < 80) continue;
    int64_t upper = 0;
    for (int64_t i = 0; i < 32; ++i) upper += turned.image.data<float>()[i] > 0.5f;
    CHECK(upper > 24);
    for (int64_t i = 32; i < 64; ++i) CHECK(turned.image.data<float>()[i] < 0.6f);
  }
  for (uint64_t seed = 0; seed < 60; ++seed) {
    Sample s = marked(seed);
    change(s, rotate(30), seed);
    // The box of a turned box is larger than what is in it.
    check_together(s, 0.5, 9);
  }
}

TEST_CASE("boxes that are cut off are dropped with what belongs to them") {
  Sample s{.image = Tensor::zeros({1, 10, 10, 1}),
           .lists = {{"boxes", Tensor::from({3, 4}, {0, 0, 4, 4, 3, 3, 10, 10, 8, 0, 10, 2})},
                     {"classes", Tensor::from({3}, std::vector<int64_t>{1, 2, 3})},
                     {"box_crowd", Tensor::from({3}, std::vector<int64_t>{0, 1, 0})},
                     {"names", Tensor::zeros({7})}}};
  change(s, center_crop({4, 4}), 1);  // pixels 3 to 6: a sixteenth of the first, 16 of 49 of the second
  CHECK(s.list("boxes").shape() == Shape{1, 4});
  for (int i = 0; i < 4; ++i)
    CHECK(s.list("boxes").data<float>()[i] == std::array{0.0f, 0.0f, 4.0f, 4.0f}[static_cast<size_t>(i)]);
  CHECK(s.list("classes").values<int64_t>()[0] == 2);
  CHECK(s.list("box_crowd").values<int64_t>()[0] == 1);
  CHECK(s.list("names").shape() == Shape{7});
  change(s, random_crop({2, 2}), 1);
  s.lists["classes"] = Tensor::zeros({5}, DType::int64);
  CHECK_THROWS_WITH_AS(change(s, vertical_flip(1), 1), "augment: \"classes\" of image 0 is int64 [5] beside 1 boxes",
                       Error);
}

TEST_CASE("a mask's fill is the dataset's, and masks of another size are refused") {
  Sample s{.image = Tensor::zeros({1, 4, 4, 1}), .targets = {{"depth_mask", Tensor::zeros({4, 4, 2})}}};
  Random random(1);
  AugmentContext context{.random = random, .black = {0}, .mask_fill = 255};
  center_crop({6, 4})(s, context);
  CHECK(s["depth_mask"].shape() == Shape{6, 4, 2});
  CHECK(s["depth_mask"].data<float>()[0] == 255);
  CHECK(s["depth_mask"].data<float>()[8] == 0);
  s.targets["mask"] = Tensor::zeros({4, 4}, DType::int64);
  CHECK_THROWS_WITH_AS(vertical_flip(1)(s, context),
                       "augment: \"mask\" of image 0 is int64 [4,4], expected [6,4] or [6,4,K], the image's size",
                       Error);
}

TEST_CASE("a mosaic has four pictures, each cut at its quarter") {
  const Marked dataset;
  int64_t boxes = 0;
  for (uint64_t seed = 0; seed < 100; ++seed) {
    CAPTURE(seed);
    Sample s = dataset[static_cast<int64_t>(seed % 40)];
    change(s, mosaic({.probability = 1}), seed, &dataset);
    CHECK(s.image.shape() == Shape{1, 24, 20, 1});
    check_together(s, 0.5, 1e9);
    boxes += s.list("boxes").size(0);
    // Every box has bright pixels in it.
    const float* b = s.list("boxes").data<float>();
    for (int64_t i = 0; i < s.list("boxes").size(0); ++i, b += 4) {
      double sum = 0;
      for (auto y = static_cast<int64_t>(b[1]); y < std::min<int64_t>(24, static_cast<int64_t>(std::ceil(b[3]))); ++y)
        for (auto x = static_cast<int64_t>(b[0]); x < std::min<int64_t>(20, static_cast<int64_t>(std::ceil(b[2]))); ++x)
          sum += static_cast<double>(s.image.data<float>()[y * 20 + x]);
      CHECK(sum > 0.3 * static_cast<double>((b[2] - b[0]) * (b[3] - b[1])));
    }
  }
  CHECK(boxes > 150);
  Sample s = dataset[0];
  change(s, mosaic({.probability = 0}), 1, &dataset);
  CHECK(s.list("boxes").size(0) == 1);
}

TEST_CASE("mixup mixes images and real targets by one number, and says which") {
  struct Numbers final : Dataset {
    int64_t size() const override { return 10; }
    Shape image_shape() const override { return {2, 2, 1}; }
    Sample sample(int64_t index) const override {
      return {.image = Tensor::full({1, 2, 2, 1}, static_cast<double>(index)),
              .label = index,
              .targets = {{"value", Tensor::full({3}, static_cast<double>(10 * index))}}};
    }
  };
  const Numbers dataset;
  double sum = 0;
  for (uint64_t seed = 0; seed < 300; ++seed) {
    Sample s = dataset[4];
    change(s, mixup({.alpha = 0.4}), seed, &dataset);
    const double mix = static_cast<double>(s["mix"].item());
    const auto label = static_cast<double>(s["mix_label"].values<int64_t>()[0]);
    CHECK(mix >= 0);
    CHECK(mix <= 1);
    sum += mix;
    const double expected = mix * 4 + (1 - mix) * label;
    CHECK(static_cast<double>(s.image.data<float>()[3]) == doctest::Approx(expected).epsilon(1e-5));
    CHECK(static_cast<double>(s["value"].data<float>()[2]) == doctest::Approx(10 * expected).epsilon(1e-5));
    CHECK(s.label == 4);
  }
  CHECK(std::abs(sum / 300 - 0.5) < 0.1);
  Sample s = dataset[4];
  change(s, mixup({.probability = 0}), 1, &dataset);
  CHECK(s["mix"].item() == 1);
  CHECK(s["mix_label"].values<int64_t>()[0] == 4);
  s = marked(1);
  const Marked other;
  CHECK_THROWS_WITH_AS(change(s, mixup(), 1, &other), doctest::Contains("integers cannot be mixed"), Error);
  CHECK_THROWS_WITH_AS(change(s, mixup(), 1), doctest::Contains("knows no dataset"), Error);
}

TEST_CASE("colours stay between black and white, and grey stays grey") {
  for (uint64_t seed = 0; seed < 50; ++seed) {
    Random random(seed);
    Sample s{.image = Tensor::uniform({1, 5, 4, 3}, random, -1, 3)};
    AugmentContext context{.random = random, .black = {-1, -1, -1}, .white = {3, 3, 3}};
    const Tensor before = s.image.clone();
    Sample same = s;
    color_jitter({0, 0, 0, 0})(same, context);
    for (int64_t i = 0; i < 60; ++i)
      CHECK(same.image.data<float>()[i] == doctest::Approx(static_cast<double>(before.data<float>()[i])).epsilon(1e-5));
    color_jitter({0.5, 0.5, 0.5, 0.5})(s, context);
    bool changed = false;
    for (int64_t i = 0; i < 60; ++i) {
      CHECK(s.image.data<float>()[i] >= -1);
      CHECK(s.image.data<float>()[i] <= 3);
      changed = changed || s.image.data<float>()[i] != before.data<float>()[i];
    }
    CHECK(changed);
    Sample grey{.image = Tensor::full({1, 2, 2, 3}, 1)};
    color_jitter({0, 0, 1, 0.5})(grey, context);
    for (int64_t i = 0; i < 12; ++i) CHECK(grey.image.data<float>()[i] == doctest::Approx(1));
  }
  // Turned by half a circle, red is cyan.
  Sample red{.image = Tensor::from({1, 1, 1, 3}, {1, 0, 0})};
  for (uint64_t seed = 0; seed < 400; ++seed) {
    Sample s{.image = red.image.clone()};
    Random random(seed), same = random;
    AugmentContext context{.random = random, .black = {0, 0, 0}, .white = {1, 1, 1}};
    color_jitter({0, 0, 0, 0.5})(s, context);
    for (int i = 0; i < 3; ++i) same.uniform();
    const double turn = -0.5 + same.uniform();
    if (std::abs(turn) < 0.49) continue;
    CHECK(s.image.data<float>()[0] < 0.07f);
    CHECK(s.image.data<float>()[1] > 0.93f);
    CHECK(s.image.data<float>()[2] > 0.93f);
  }
}

TEST_CASE("what is normalised has its black and white normalised, too") {
  Sample s{.image = Tensor::from({1, 1, 2, 2}, {0, 1, 0.5f, 0.25f})};
  Random random(1);
  AugmentContext context{.random = random, .black = {0, 0}, .white = {1, 1}};
  normalize_image({.mean = {0.5, 0.25}, .std = {0.5}})(s, context);
  CHECK(s.image.data<float>()[0] == -1);
  CHECK(s.image.data<float>()[1] == 1.5f);
  CHECK(context.black == std::vector<float>{-1, -0.5f});
  CHECK(context.white == std::vector<float>{1, 1.5f});
  center_crop({3, 2})(s, context);
  CHECK(s.image.data<float>()[0] == -1);
  CHECK(s.image.data<float>()[1] == -0.5f);
}

TEST_CASE("cutout blackens squares of the image alone") {
  for (uint64_t seed = 0; seed < 30; ++seed) {
    Sample s = marked(seed);
    const Tensor mask = s["mask"].clone();
    s.image = Tensor::full({1, 24, 20, 1}, 1);
    change(s, cutout({.size = 6, .holes = 1}), seed);
    int64_t black = 0;
    for (const float v : s.image.values<float>()) black += v == 0;
    CHECK(black >= 9);
    CHECK(black <= 36);
    for (int64_t i = 0; i < mask.elements(); ++i) CHECK(s["mask"].data<int64_t>()[i] == mask.data<int64_t>()[i]);
  }
}

TEST_CASE("augmented batches do not depend on the loader's threads, and images of many sizes become one") {
  struct Sizes final : Dataset {
    int64_t size() const override { return 40; }
    Shape image_shape() const override { return {16, 16, 1}; }
    Sample sample(int64_t index) const override {
      return marked(static_cast<uint64_t>(index), 20 + index % 5, 18 + index % 7);
    }
  };
  const Sizes dataset;
  const std::vector<Augmentation> all{
      mosaic(), affine({.degrees = 20, .shift = 0.1}), letterbox({16, 16}), horizontal_flip(),
      cutout(), sometimes(0.5, color_jitter())};
  const auto images = [&](int64_t workers) {
    std::vector<Tensor> seen;
    DataLoader loader(dataset, {.batch = 8, .seed = 3, .workers = workers, .augment = all});
    for (int epoch = 0; epoch < 2; ++epoch)
      for (const auto& batch : loader) {
        seen.push_back(batch.images);
        for (const Tensor& boxes : batch.list("boxes")) seen.push_back(boxes);
      }
    return seen;
  };
  const auto one = images(1), four = images(4);
  REQUIRE(one.size() == four.size());
  for (size_t i = 0; i < one.size(); ++i) {
    REQUIRE(one[i].shape() == four[i].shape());
    CHECK(std::equal(one[i].values<float>().begin(), one[i].values<float>().end(), four[i].values<float>().begin()));
  }
  const Transformed transformed(dataset, {letterbox({16, 16}), normalize_image({.mean = {1}, .std = {2}})});
  CHECK(transformed.image_shape() == Shape{16, 16, 1});
  CHECK(transformed.black() == std::vector<float>{-0.5f});
  CHECK(transformed[7].list("classes").values<int64_t>()[0] == 5);
}

TEST_CASE("augmentations check their options") {
  CHECK_THROWS_WITH_AS(pad_crop(-1), "pad_crop: padding is -1, expected 0 to 2^20", Error);
  CHECK_THROWS_WITH_AS(horizontal_flip(1.5), "horizontal_flip: probability is 1.5, expected 0 to 1", Error);
  CHECK_THROWS_WITH_AS(vertical_flip(-1), "vertical_flip: probability is -1, expected 0 to 1", Error);
  CHECK_THROWS_WITH_AS(random_crop({0, 3}), "random_crop: size is 0x3, expected 1x1 to 2^20 a side", Error);
  CHECK_THROWS_WITH_AS(resize_to({4, 4, "cubic"}),
                       "resize: unknown mode \"cubic\" (known: bilinear, smooth, area, nearest)", Error);
  CHECK_THROWS_WITH_AS(affine({.least_scale = 2}), "affine: scales are 2 to 1, expected 0 < least <= most", Error);
  CHECK_THROWS_WITH_AS(color_jitter({.hue = 0.7}), "color_jitter: hue is 0.7, expected 0 to 0.5", Error);
  CHECK_THROWS_WITH_AS(normalize_image({.std = {0}}), "normalize_image: std is 0, expected above 0", Error);
  CHECK_THROWS_WITH_AS(mixup({.alpha = 0}), "mixup: alpha is 0, expected above 0", Error);
  CHECK_THROWS_WITH_AS(sometimes(0.5, {}), "sometimes: the augmentation is empty", Error);
  CHECK_THROWS_WITH_AS(cutout({.size = 0}), "cutout: 1 holes of 0 pixels, expected a size of at least 1", Error);
}
