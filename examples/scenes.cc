#include "scenes.h"

#include <algorithm>
#include <cmath>
#include <numbers>

namespace sinter::examples {

namespace {

constexpr double kMean = 0.4, kStd = 0.28;  // of the scenes' pixels, in 0..1
constexpr float kVisible = 0.04f;           // what is darker around a thing is not part of it
constexpr int64_t kSide = 28;

double between(Random& random, double low, double high) { return low + (high - low) * random.uniform(); }

struct Canvas {
  int64_t size;
  std::vector<float> pixels;
  float& at(int64_t y, int64_t x) { return pixels[static_cast<size_t>(y * size + x)]; }
};

// Random values on a coarse grid, bilinear between them.
void add_noise(Canvas& canvas, Random& random, int64_t cells, double strength) {
  std::vector<float> grid(static_cast<size_t>((cells + 1) * (cells + 1)));
  for (float& v : grid) v = static_cast<float>(between(random, -strength, strength));
  const double step = static_cast<double>(cells) / static_cast<double>(canvas.size);
  for (int64_t y = 0; y < canvas.size; ++y) {
    const double gy = static_cast<double>(y) * step;
    const auto row = static_cast<int64_t>(gy);
    const auto fy = static_cast<float>(gy - static_cast<double>(row));
    for (int64_t x = 0; x < canvas.size; ++x) {
      const double gx = static_cast<double>(x) * step;
      const auto column = static_cast<int64_t>(gx);
      const auto fx = static_cast<float>(gx - static_cast<double>(column));
      const float* g = grid.data() + row * (cells + 1) + column;
      canvas.at(y, x) += (1 - fy) * ((1 - fx) * g[0] + fx * g[1]) + fy * ((1 - fx) * g[cells + 1] + fx * g[cells + 2]);
    }
  }
}

void add_stripes(Canvas& canvas, Random& random) {
  const double angle = between(random, 0, std::numbers::pi), period = between(random, 4, 20),
               strength = between(random, 0.02, 0.12), phase = between(random, 0, 1);
  const double kx = std::cos(angle) / period, ky = std::sin(angle) / period;
  for (int64_t y = 0; y < canvas.size; ++y)
    for (int64_t x = 0; x < canvas.size; ++x) {
      const double t = kx * static_cast<double>(x) + ky * static_cast<double>(y) + phase;
      canvas.at(y, x) += static_cast<float>(strength * (4 * std::abs(t - std::floor(t) - 0.5) - 1));
    }
}

// A bar or an ellipse of one grey value, turned.
void add_clutter(Canvas& canvas, Random& random) {
  const bool ellipse = random.below(2) == 1;
  const auto size = static_cast<double>(canvas.size);
  const double cx = between(random, 0, size), cy = between(random, 0, size),
               angle = between(random, 0, std::numbers::pi);
  const double a = between(random, 2, 12), b = between(random, 1, 5), grey = between(random, 0, 0.8),
               cover = between(random, 0.4, 0.9);
  const double c = std::cos(angle), s = std::sin(angle), reach = a + b;
  const auto clipped = [&](double v) { return std::clamp<int64_t>(static_cast<int64_t>(v), 0, canvas.size); };
  for (int64_t y = clipped(cy - reach); y < clipped(cy + reach); ++y)
    for (int64_t x = clipped(cx - reach); x < clipped(cx + reach); ++x) {
      const double dx = static_cast<double>(x) - cx, dy = static_cast<double>(y) - cy;
      const double u = std::abs(c * dx + s * dy) / a, v = std::abs(c * dy - s * dx) / b;
      if (ellipse ? u * u + v * v > 1 : std::max(u, v) > 1) continue;
      float& pixel = canvas.at(y, x);
      pixel += static_cast<float>(cover * (grey - pixel));
    }
}

Canvas background(int64_t size, Random& random) {
  Canvas canvas{size,
                std::vector<float>(static_cast<size_t>(size * size), static_cast<float>(between(random, 0.1, 0.6)))};
  add_noise(canvas, random, 1, 0.2);  // a gradient
  add_noise(canvas, random, 6, 0.1);
  add_noise(canvas, random, size / 3, 0.06);
  if (random.below(2) == 1) add_stripes(canvas, random);
  for (int64_t i = 3 + random.below(size / 8); i > 0; --i) add_clutter(canvas, random);
  for (float& v : canvas.pixels) v = std::clamp(v, 0.0f, 1.0f);
  return canvas;
}

// A thing at its size: how much of a pixel it covers, and its grey value times that.
struct Thing {
  int64_t side;
  std::vector<float> cover, grey;
  int64_t left, top, right, bottom;  // of what it covers, the last two past the end

  Thing(std::span<const float> image, int64_t size, bool flip)
      : side(size),
        cover(static_cast<size_t>(size * size)),
        grey(cover.size()),
        left(size),
        top(size),
        right(0),
        bottom(0) {
    const double step = static_cast<double>(kSide) / static_cast<double>(size);
    for (int64_t y = 0; y < size; ++y)
      for (int64_t x = 0; x < size; ++x) {
        const double sy = (static_cast<double>(y) + 0.5) * step - 0.5;
        const double sx = (static_cast<double>(flip ? size - 1 - x : x) + 0.5) * step - 0.5;
        const auto y0 = static_cast<int64_t>(std::floor(sy)), x0 = static_cast<int64_t>(std::floor(sx));
        float c = 0, g = 0;
        for (const int64_t iy : {y0, y0 + 1})
          for (const int64_t ix : {x0, x0 + 1}) {
            if (iy < 0 || ix < 0 || iy >= kSide || ix >= kSide) continue;
            const float v = image[static_cast<size_t>(iy * kSide + ix)];
            if (v < kVisible) continue;
            const auto weight = static_cast<float>((1 - std::abs(sy - static_cast<double>(iy))) *
                                                   (1 - std::abs(sx - static_cast<double>(ix))));
            c += weight;
            g += weight * v;
          }
        cover[static_cast<size_t>(y * size + x)] = c;
        grey[static_cast<size_t>(y * size + x)] = g;
        if (c < 0.5f) continue;
        left = std::min(left, x), right = std::max(right, x + 1);
        top = std::min(top, y), bottom = std::max(bottom, y + 1);
      }
  }
  bool empty() const { return right <= left; }
};

}  // namespace

Scenes::Scenes(std::string_view split, const SceneOptions& options)
    : images_(data::fashion_mnist(split, {.mean = 0, .std = 1})),
      options_(options),
      stream_(stream_of(split)),
      count_(images_.size()) {
  check(options.least >= 1 && options.least <= options.most, "scenes: least is ", options.least, " and most ",
        options.most, ", expected 1 <= least <= most");
  check(options.smallest >= 8 && options.smallest <= options.largest &&
            options.largest <= static_cast<double>(options.size),
        "scenes: things of ", options.smallest, " to ", options.largest,
        " pixels, expected 8 <= smallest <= largest <= ", options.size, ", the scene's size");
}

Scenes Scenes::take(int64_t count) const {
  Scenes result = *this;
  result.count_ = std::min(count, count_);
  return result;
}

data::Sample Scenes::sample(int64_t index) const {
  const int64_t size = options_.size;
  Random random(options_.seed, stream_ + static_cast<uint64_t>(index));
  Canvas canvas = background(size, random);
  std::vector<int64_t> owner(canvas.pixels.size(), -1);  // of each pixel: which thing
  std::vector<int64_t> labels, areas;
  std::vector<float> boxes;
  std::vector<float> image(kSide * kSide);
  const int64_t wanted = options_.least + random.below(options_.most - options_.least + 1);
  constexpr int kTries = 12;
  for (int64_t i = 0; i < wanted; ++i) {
    const int64_t which = i == 0 ? index : random.below(images_.size());
    images_.read(which, image);
    const Thing thing(image, static_cast<int64_t>(between(random, options_.smallest, options_.largest + 1)),
                      random.below(2) == 1);
    if (thing.empty()) continue;
    for (int attempt = 0; attempt < kTries; ++attempt) {
      const int64_t x0 = random.below(size - (thing.right - thing.left) + 1) - thing.left;
      const int64_t y0 = random.below(size - (thing.bottom - thing.top) + 1) - thing.top;
      std::vector<int64_t> hidden(labels.size());
      const auto for_each_covered = [&](const auto& f) {
        for (int64_t y = thing.top; y < thing.bottom; ++y)
          for (int64_t x = thing.left; x < thing.right; ++x) {
            const auto from = static_cast<size_t>(y * thing.side + x);
            f(static_cast<size_t>((y0 + y) * size + x0 + x), thing.cover[from], thing.grey[from]);
          }
      };
      int64_t area = 0;
      for_each_covered([&](size_t at, float cover, float) {
        if (cover < 0.5f) return;
        ++area;
        if (owner[at] >= 0) ++hidden[static_cast<size_t>(owner[at])];
      });
      bool free = true;
      for (size_t k = 0; k < hidden.size(); ++k) free = free && 10 * hidden[k] <= areas[k];
      if (!free) continue;
      for_each_covered([&](size_t at, float cover, float grey) {
        canvas.pixels[at] = std::min(1.0f, canvas.pixels[at] * (1 - cover) + grey);
        if (cover >= 0.5f) owner[at] = static_cast<int64_t>(labels.size());
      });
      labels.push_back(images_.label(which));
      areas.push_back(area);
      for (const int64_t v : {x0 + thing.left, y0 + thing.top, x0 + thing.right, y0 + thing.bottom})
        boxes.push_back(static_cast<float>(v));
      break;
    }
  }
  for (float& v : canvas.pixels) v = static_cast<float>((v - kMean) / kStd);
  std::vector<int64_t> mask(owner.size());
  for (size_t k = 0; k < owner.size(); ++k) mask[k] = owner[k] < 0 ? 0 : 1 + labels[static_cast<size_t>(owner[k])];
  const auto things = static_cast<int64_t>(labels.size());
  return {.image = Tensor::from({1, size, size, 1}, canvas.pixels),
          .label = labels.empty() ? 0 : labels[0],
          .targets = {{"mask", Tensor::from({size, size}, mask)}},
          .lists = {{"boxes", Tensor::from({things, 4}, boxes)}, {"classes", Tensor::from({things}, labels)}},
          .index = index};
}

}  // namespace sinter::examples
