#include <algorithm>
#include <array>
#include <cmath>

#include "moved.h"

namespace sinter::data {

namespace {

using Rgb = std::array<double, 3>;

// ITU-R 601, as Pillow and PyTorch.
double grey(const Rgb& p) { return 0.299 * p[0] + 0.587 * p[1] + 0.114 * p[2]; }

// Turned by a part of the circle of hues (HSV).
Rgb turned(const Rgb& p, double turn) {
  const double most = std::max({p[0], p[1], p[2]}), least = std::min({p[0], p[1], p[2]}), range = most - least;
  if (range == 0) return p;
  double hue = most == p[0]   ? (p[1] - p[2]) / range
               : most == p[1] ? 2 + (p[2] - p[0]) / range
                              : 4 + (p[0] - p[1]) / range;
  hue = hue / 6 + turn;
  hue = (hue - std::floor(hue)) * 6;
  const auto at = [&](double n) {
    const double k = std::fmod(n + hue, 6);
    return most - range * std::clamp(std::min(k, 4 - k), 0.0, 1.0);
  };
  return {at(5), at(3), at(1)};
}

void check_factor(const char* name, double value) {
  check(value >= 0 && value <= 1, "color_jitter: ", name, " is ", value, ", expected 0 to 1");
}

}  // namespace

Augmentation color_jitter(const ColorJitterOptions& o) {
  check_factor("brightness", o.brightness);
  check_factor("contrast", o.contrast);
  check_factor("saturation", o.saturation);
  check(o.hue >= 0 && o.hue <= 0.5, "color_jitter: hue is ", o.hue, ", expected 0 to 0.5");
  return Augmentation([o](Sample& sample, AugmentContext& context) {
    Random& random = context.random;
    const double brightness = between(random, 1 - o.brightness, 1 + o.brightness);
    const double contrast = between(random, 1 - o.contrast, 1 + o.contrast);
    const double saturation = between(random, 1 - o.saturation, 1 + o.saturation);
    const double hue = between(random, -o.hue, o.hue);
    const Sides sides = sides_of(sample, "color_jitter");
    const auto channels = static_cast<size_t>(sides.channels);
    check(context.black.size() == channels && context.white.size() == channels, "color_jitter: ", context.black.size(),
          " values of black and ", context.white.size(), " of white for an image of ", channels, " channels");
    float* values = own_pixels(sample);
    const auto count = static_cast<size_t>(sides.height * sides.width);
    const auto level = [&](size_t i, size_t c) {
      const double black = context.black[c], white = context.white[c];
      return std::clamp((static_cast<double>(values[i * channels + c]) - black) / (white - black) * brightness, 0.0,
                        1.0);
    };
    double mean = 0;
    for (size_t i = 0; i < count; ++i) {
      if (channels == 3)
        mean += grey({level(i, 0), level(i, 1), level(i, 2)});
      else
        for (size_t c = 0; c < channels; ++c) mean += level(i, c) / static_cast<double>(channels);
    }
    mean /= static_cast<double>(count);
    const auto contrasted = [&](double v) { return std::clamp(mean + (v - mean) * contrast, 0.0, 1.0); };
    const auto put = [&](size_t i, size_t c, double v) {
      const double black = context.black[c], white = context.white[c];
      values[i * channels + c] = static_cast<float>(black + std::clamp(v, 0.0, 1.0) * (white - black));
    };
    for (size_t i = 0; i < count; ++i) {
      if (channels != 3) {
        for (size_t c = 0; c < channels; ++c) put(i, c, contrasted(level(i, c)));
        continue;
      }
      Rgb p{contrasted(level(i, 0)), contrasted(level(i, 1)), contrasted(level(i, 2))};
      const double g = grey(p);
      for (double& v : p) v = std::clamp(g + (v - g) * saturation, 0.0, 1.0);
      p = turned(p, hue);
      for (size_t c = 0; c < 3; ++c) put(i, c, p[c]);
    }
  });
}

Augmentation cutout(const CutoutOptions& o) {
  check(o.size >= 1 && o.holes >= 0, "cutout: ", o.holes, " holes of ", o.size,
        " pixels, expected a size of at least 1");
  return Augmentation([o](const Image& image, Random& random) {
    for (int64_t hole = 0; hole < o.holes; ++hole) {
      const int64_t top = random.below(image.height) - o.size / 2, left = random.below(image.width) - o.size / 2;
      for (int64_t y = std::max<int64_t>(top, 0); y < std::min(top + o.size, image.height); ++y)
        for (int64_t x = std::max<int64_t>(left, 0); x < std::min(left + o.size, image.width); ++x)
          std::copy_n(image.black, image.channels, image.values + (y * image.width + x) * image.channels);
    }
  });
}

Augmentation normalize_image(const NormalizeOptions& o) {
  check(!o.mean.empty() && !o.std.empty(), "normalize_image: mean and std have ", o.mean.size(), " and ", o.std.size(),
        " values, expected one, or one for each channel");
  for (const double v : o.mean) check(std::isfinite(v), "normalize_image: mean is ", v);
  for (const double v : o.std) check(std::isfinite(v) && v > 0, "normalize_image: std is ", v, ", expected above 0");
  return Augmentation([o](Sample& sample, AugmentContext& context) {
    const Sides sides = sides_of(sample, "normalize_image");
    const auto of = [&](const std::vector<double>& values, int64_t c) {
      check(values.size() == 1 || static_cast<int64_t>(values.size()) == sides.channels,
            "normalize_image: ", values.size(), " values for an image of ", sides.channels, " channels");
      return values[values.size() == 1 ? 0 : static_cast<size_t>(c)];
    };
    const auto normalized = [&](float v, int64_t c) {
      return static_cast<float>((static_cast<double>(v) - of(o.mean, c)) / of(o.std, c));
    };
    float* values = own_pixels(sample);
    for (int64_t i = 0; i < sample.image.elements(); ++i) values[i] = normalized(values[i], i % sides.channels);
    for (std::vector<float>* level : {&context.black, &context.white})
      for (size_t c = 0; c < level->size(); ++c) (*level)[c] = normalized((*level)[c], static_cast<int64_t>(c));
  });
}

}  // namespace sinter::data
