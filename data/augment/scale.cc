#include <algorithm>
#include <cmath>
#include <numbers>

#include "../../core/autograd.h"
#include "moved.h"

namespace sinter::data {

Augmentation resize_to(const ResizeImageOptions& options) {
  resize_image(Tensor::zeros({1, 1, 1, 1}), options);  // refuses what makes no sense
  return Augmentation([options](Sample& sample, AugmentContext& context) {
    const Sides sides = sides_of(sample, "resize_to");
    sample.image = resize_image(sample.image, options);
    move_targets(sample, context, sides,
                 {.xx = static_cast<double>(sides.width) / static_cast<double>(options.width),
                  .yy = static_cast<double>(sides.height) / static_cast<double>(options.height)},
                 options.height, options.width);
  });
}

Augmentation letterbox(const LetterboxOptions& o) {
  resize_image(Tensor::zeros({1, 1, 1, 1}), {o.height, o.width, o.mode});
  return Augmentation([o](Sample& sample, AugmentContext& context) {
    const Sides sides = sides_of(sample, "letterbox");
    const double scale = std::min(static_cast<double>(o.height) / static_cast<double>(sides.height),
                                  static_cast<double>(o.width) / static_cast<double>(sides.width));
    const auto scaled = [&](int64_t side, int64_t most) {
      return std::clamp<int64_t>(std::llround(static_cast<double>(side) * scale), 1, most);
    };
    const int64_t height = scaled(sides.height, o.height), width = scaled(sides.width, o.width);
    const int64_t top = o.centered ? (o.height - height) / 2 : 0, left = o.centered ? (o.width - width) / 2 : 0;
    const Tensor image = resize_image(sample.image, {height, width, o.mode});
    Tensor result = Tensor::empty({1, o.height, o.width, sides.channels});
    float* out = detail::Access::write<float>(result);
    for (int64_t i = 0; i < o.height * o.width; ++i)
      for (int64_t c = 0; c < sides.channels; ++c)
        out[i * sides.channels + c] = o.fill ? static_cast<float>(*o.fill) : context.black[static_cast<size_t>(c)];
    for (int64_t y = 0; y < height; ++y)
      std::copy_n(image.data<float>() + y * width * sides.channels, width * sides.channels,
                  out + ((top + y) * o.width + left) * sides.channels);
    sample.image = result;
    const double across = static_cast<double>(sides.width) / static_cast<double>(width),
                 down = static_cast<double>(sides.height) / static_cast<double>(height);
    move_targets(
        sample, context, sides,
        {.xx = across, .x0 = -static_cast<double>(left) * across, .yy = down, .y0 = -static_cast<double>(top) * down},
        o.height, o.width);
  });
}

Augmentation affine(const AffineOptions& o) {
  check(std::isfinite(o.degrees) && o.degrees >= 0, "affine: degrees is ", o.degrees, ", expected 0 or more");
  check(o.least_scale > 0 && o.least_scale <= o.most_scale && std::isfinite(o.most_scale), "affine: scales are ",
        o.least_scale, " to ", o.most_scale, ", expected 0 < least <= most");
  check(o.shift >= 0 && std::isfinite(o.shift), "affine: shift is ", o.shift, ", expected 0 or more");
  check_probability("affine", o.probability);
  return Augmentation([o](Sample& sample, AugmentContext& context) {
    Random& random = context.random;
    const bool applies = random.uniform() < o.probability;
    const double angle = between(random, -o.degrees, o.degrees) * std::numbers::pi / 180;
    const double scale = between(random, o.least_scale, o.most_scale);
    const double across = between(random, -o.shift, o.shift), down = between(random, -o.shift, o.shift);
    if (!applies) return;
    const Sides sides = sides_of(sample, "affine");
    const auto width = static_cast<double>(sides.width), height = static_cast<double>(sides.height);
    // About the middle, counter-clockwise as it is looked at: rows count downwards.
    const double c = std::cos(angle) / scale, s = std::sin(angle) / scale;
    const double x = width / 2 + across * width, y = height / 2 + down * height;
    move(sample, context, "affine",
         {.xx = c, .xy = -s, .x0 = width / 2 - c * x + s * y, .yx = s, .yy = c, .y0 = height / 2 - s * x - c * y},
         sides.height, sides.width);
  });
}

Augmentation rotate(double degrees) { return affine({.degrees = degrees}); }

Augmentation random_scale(const ScaleOptions& options) {
  return affine({.least_scale = options.least, .most_scale = options.most});
}

}  // namespace sinter::data
