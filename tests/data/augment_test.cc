#include "../../data/augment.h"

#include <doctest/doctest.h>

#include <cmath>
#include <map>
#include <utility>

#include "../../core/error.h"

using namespace sinter;
using namespace sinter::data;

namespace {

// An image whose every value tells where it came from; black is -1 - channel.
struct Example {
  int64_t height, width, channels;
  std::vector<float> black, values;

  Example(int64_t h, int64_t w, int64_t c) : height(h), width(w), channels(c) {
    for (int64_t i = 0; i < c; ++i) black.push_back(static_cast<float>(-1 - i));
    for (int64_t i = 0; i < h * w * c; ++i) values.push_back(static_cast<float>(i));
  }
  Image image() { return {values.data(), height, width, channels, black.data()}; }
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
  float at(int64_t y, int64_t x, int64_t c) const {
    return values[static_cast<size_t>((y * width + x) * channels + c)];
  }
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
      augmentation(example.image(), random);
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
    pad_crop(6)(example.image(), random);
    bool found = false;
    for (int64_t down = -6; down <= 6; ++down)
      for (int64_t right = -6; right <= 6; ++right) found = found || example.is_shifted(down, right);
    CHECK(found);
    black += example.is_shifted(3, 0);
    pad_crop(0)(example.image(), random);
  }
  CHECK(black > 50);
  Example example(3, 2, 3);
  pad_crop(0)(example.image(), random);
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
          augmentation(example.image(), random);
          REQUIRE((example.is_mirrored() || example.is_shifted(0, 0)));
          mirrored += example.is_mirrored();
        }
        if (width == 1)
          CHECK(mirrored == kTries);
        else
          CHECK(std::abs(mirrored - probability * kTries) <= 5 * std::sqrt(kTries * probability * (1 - probability)));
      }
}

TEST_CASE("augmentations check their options") {
  CHECK_THROWS_WITH_AS(pad_crop(-1), "pad_crop: padding is -1, expected 0 to 2^20", Error);
  CHECK_THROWS_WITH_AS(horizontal_flip(1.5), "horizontal_flip: probability is 1.5, expected 0 to 1", Error);
}
