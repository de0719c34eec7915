#include <algorithm>

#include "moved.h"

namespace sinter::data {

namespace {

template <int64_t kChannels>  // 0: as many as the image has
void mirror(float* values, const Sides& sides) {
  const int64_t channels = kChannels > 0 ? kChannels : sides.channels;
  for (int64_t y = 0; y < sides.height; ++y) {
    float* left = values + y * sides.width * channels;
    float* right = left + (sides.width - 1) * channels;
    for (; left < right; left += channels, right -= channels) std::swap_ranges(left, left + channels, right);
  }
}

}  // namespace

Augmentation horizontal_flip(double probability) {
  check_probability("horizontal_flip", probability);
  return Augmentation([probability](Sample& sample, AugmentContext& context) {
    if (context.random.uniform() >= probability) return;
    const Sides sides = sides_of(sample, "horizontal_flip");
    float* values = own_pixels(sample);
    (sides.channels == 1 ? mirror<1> : sides.channels == 3 ? mirror<3> : mirror<0>)(values, sides);
    move_targets(sample, context, sides, {.xx = -1, .x0 = static_cast<double>(sides.width)}, sides.height, sides.width);
  });
}

Augmentation vertical_flip(double probability) {
  check_probability("vertical_flip", probability);
  return Augmentation([probability](Sample& sample, AugmentContext& context) {
    if (context.random.uniform() >= probability) return;
    const Sides sides = sides_of(sample, "vertical_flip");
    float* values = own_pixels(sample);
    const int64_t row = sides.width * sides.channels;
    for (int64_t y = 0; y < sides.height / 2; ++y)
      std::swap_ranges(values + y * row, values + (y + 1) * row, values + (sides.height - 1 - y) * row);
    move_targets(sample, context, sides, {.yy = -1, .y0 = static_cast<double>(sides.height)}, sides.height,
                 sides.width);
  });
}

}  // namespace sinter::data
