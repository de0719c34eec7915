#include "resize.h"

#include <algorithm>
#include <cmath>
#include <vector>

#include "../core/autograd.h"

namespace sinter::data {

namespace {

constexpr int64_t kMostPixels = int64_t{1} << 28;

// The weights of one pixel of a result: of the pixels first, first + 1, ...
struct Taps {
  int64_t first;
  std::vector<float> weights;
};

Taps taps_of(int64_t at, int64_t from, int64_t to, const std::string& mode) {
  const double step = static_cast<double>(from) / static_cast<double>(to);
  const double centre = (static_cast<double>(at) + 0.5) * step;
  const auto inside = [&](double i) { return std::clamp<int64_t>(static_cast<int64_t>(std::floor(i)), 0, from - 1); };
  if (mode == "nearest") return {inside(centre), {1}};
  if (mode == "bilinear" || step <= 1) {
    const double place = std::clamp(centre - 0.5, 0.0, static_cast<double>(from - 1));
    const int64_t first = inside(place);
    const double right = place - static_cast<double>(first);
    if (right == 0) return {first, {1}};
    return {first, {static_cast<float>(1 - right), static_cast<float>(right)}};
  }
  const double reach = mode == "area" ? step / 2 : step;
  const int64_t first = inside(centre - reach), last = inside(centre + reach);
  std::vector<double> weights;
  double sum = 0;
  for (int64_t i = first; i <= last; ++i) {
    const auto left = static_cast<double>(i);
    const double weight = mode == "area" ? std::min(left + 1, centre + reach) - std::max(left, centre - reach)
                                         : 1 - std::abs(left + 0.5 - centre) / step;
    weights.push_back(std::max(weight, 0.0));
    sum += weights.back();
  }
  Taps taps{first, {}};
  for (const double weight : weights) taps.weights.push_back(static_cast<float>(weight / sum));
  return taps;
}

void add(float* out, const float* in, float weight, int64_t count) {
  for (int64_t i = 0; i < count; ++i) out[i] += weight * in[i];
}

}  // namespace

Tensor resize_image(const Tensor& image, const ResizeImageOptions& options) {
  const auto& [height, width, mode] = options;
  check(image.defined() && image.dtype() == DType::float32 && image.rank() == 4 && image.size(0) == 1 &&
            image.elements() > 0,
        "resize: image is ", image.defined() ? to_string(image.spec()) : "undefined", ", expected float32 [1,H,W,C]");
  check(height >= 1 && width >= 1 && height <= kMostPixels && width <= kMostPixels && height * width <= kMostPixels,
        "resize: size is ", height, "x", width, ", expected at least 1x1 and at most 2^28 pixels");
  check(mode == "bilinear" || mode == "smooth" || mode == "area" || mode == "nearest", "resize: unknown mode \"", mode,
        "\" (known: bilinear, smooth, area, nearest)");
  const int64_t rows = image.size(1), columns = image.size(2), channels = image.size(3);
  if (rows == height && columns == width) return image;
  std::vector<Taps> across;
  for (int64_t x = 0; x < width; ++x) across.push_back(taps_of(x, columns, width, mode));
  Tensor out = Tensor::zeros({1, height, width, channels});
  const float* in = image.data<float>();
  auto* to = sinter::detail::Access::write<float>(out);
  std::vector<float> row(static_cast<size_t>(columns * channels));
  for (int64_t y = 0; y < height; ++y, to += width * channels) {
    const Taps down = taps_of(y, rows, height, mode);
    std::ranges::fill(row, 0.0f);
    for (size_t i = 0; i < down.weights.size(); ++i)
      add(row.data(), in + (down.first + static_cast<int64_t>(i)) * columns * channels, down.weights[i],
          columns * channels);
    for (int64_t x = 0; x < width; ++x) {
      const Taps& taps = across[static_cast<size_t>(x)];
      for (size_t i = 0; i < taps.weights.size(); ++i)
        add(to + x * channels, row.data() + (taps.first + static_cast<int64_t>(i)) * channels, taps.weights[i],
            channels);
    }
  }
  return out;
}

}  // namespace sinter::data
