#include "augment.h"

#include <algorithm>
#include <cstring>

#include "../core/error.h"

namespace sinter::data {

namespace {

void fill(float* begin, const float* end, const Image& image) {
  for (float* pixel = begin; pixel != end; pixel += image.channels) std::copy_n(image.black, image.channels, pixel);
}

// Pixel (y, x) becomes what was at (y + down, x + right).
void shift(const Image& image, int64_t down, int64_t right) {
  const int64_t row = image.width * image.channels;
  // What stays of a row comes to lie in from..to.
  const int64_t from = std::clamp<int64_t>(-right, 0, image.width) * image.channels;
  const int64_t to = std::clamp<int64_t>(image.width - right, 0, image.width) * image.channels;
  for (int64_t i = 0; i < image.height; ++i) {
    const int64_t y = down >= 0 ? i : image.height - 1 - i;  // a row is read before it is overwritten
    float* target = image.values + y * row;
    if (y + down < 0 || y + down >= image.height || from >= to) {
      fill(target, target + row, image);
      continue;
    }
    std::memmove(target + from, target + down * row + from + right * image.channels,
                 static_cast<size_t>(to - from) * sizeof(float));
    fill(target, target + from, image);
    fill(target + to, target + row, image);
  }
}

template <int64_t kChannels>  // 0: as many as the image has
void mirror(const Image& image) {
  const int64_t channels = kChannels > 0 ? kChannels : image.channels;
  for (int64_t y = 0; y < image.height; ++y) {
    float* left = image.values + y * image.width * channels;
    float* right = left + (image.width - 1) * channels;
    for (; left < right; left += channels, right -= channels) std::swap_ranges(left, left + channels, right);
  }
}

}  // namespace

Augmentation pad_crop(int64_t padding) {
  check(padding >= 0 && padding <= 1 << 20, "pad_crop: padding is ", padding, ", expected 0 to 2^20");
  return [padding](const Image& image, Random& random) {
    const int64_t down = random.below(2 * padding + 1) - padding;
    const int64_t right = random.below(2 * padding + 1) - padding;
    if (down != 0 || right != 0) shift(image, down, right);
  };
}

Augmentation horizontal_flip(double probability) {
  check(probability >= 0 && probability <= 1, "horizontal_flip: probability is ", probability, ", expected 0 to 1");
  return [probability](const Image& image, Random& random) {
    if (random.uniform() >= probability) return;
    if (image.channels == 1) return mirror<1>(image);
    if (image.channels == 3) return mirror<3>(image);
    mirror<0>(image);
  };
}

}  // namespace sinter::data
