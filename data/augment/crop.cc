#include <algorithm>
#include <cstring>

#include "moved.h"

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

void check_size(const char* name, const CropOptions& o) {
  check(o.height >= 1 && o.width >= 1 && o.height <= 1 << 20 && o.width <= 1 << 20, name, ": size is ", o.height, "x",
        o.width, ", expected 1x1 to 2^20 a side");
}

// A window whose upper left corner is pixel (down, right).
void cut(Sample& sample, const AugmentContext& context, const char* name, const CropOptions& o, int64_t down,
         int64_t right) {
  move(sample, context, name, {.x0 = static_cast<double>(right), .y0 = static_cast<double>(down)}, o.height, o.width);
}

// Where a window may begin: 0 to `spare`, or, where it is larger than the image, `spare` to 0.
int64_t anywhere(Random& random, int64_t spare) {
  return spare >= 0 ? random.below(spare + 1) : -random.below(-spare + 1);
}

}  // namespace

Augmentation pad_crop(int64_t padding) {
  check(padding >= 0 && padding <= 1 << 20, "pad_crop: padding is ", padding, ", expected 0 to 2^20");
  return Augmentation([padding](Sample& sample, AugmentContext& context) {
    const int64_t down = context.random.below(2 * padding + 1) - padding;
    const int64_t right = context.random.below(2 * padding + 1) - padding;
    if (down == 0 && right == 0) return;
    const Sides sides = sides_of(sample, "pad_crop");
    shift({own_pixels(sample), sides.height, sides.width, sides.channels, context.black.data()}, down, right);
    move_targets(sample, context, sides, {.x0 = static_cast<double>(right), .y0 = static_cast<double>(down)},
                 sides.height, sides.width);
  });
}

Augmentation random_crop(const CropOptions& options) {
  check_size("random_crop", options);
  return Augmentation([options](Sample& sample, AugmentContext& context) {
    const Sides sides = sides_of(sample, "random_crop");
    const int64_t down = anywhere(context.random, sides.height - options.height);
    cut(sample, context, "random_crop", options, down, anywhere(context.random, sides.width - options.width));
  });
}

Augmentation center_crop(const CropOptions& options) {
  check_size("center_crop", options);
  return Augmentation([options](Sample& sample, AugmentContext& context) {
    const Sides sides = sides_of(sample, "center_crop");
    const auto half = [](int64_t spare) { return spare >= 0 ? spare / 2 : -((1 - spare) / 2); };
    cut(sample, context, "center_crop", options, half(sides.height - options.height),
        half(sides.width - options.width));
  });
}

}  // namespace sinter::data
