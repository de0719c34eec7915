#include "moved.h"

#include <algorithm>
#include <cmath>
#include <cstring>

#include "../../core/autograd.h"

namespace sinter::data {

namespace {

constexpr double kLeastPart = 0.1;  // of a box that stays

// A mask's pixels at height x width, and the fill where there is no picture.
Tensor moved_mask(const Tensor& mask, const Affine& seen, int64_t height, int64_t width, int64_t fill) {
  const int64_t rows = mask.size(0), columns = mask.size(1);
  Shape shape = mask.shape().with(0, height).with(1, width);
  Tensor result = Tensor::full(shape, static_cast<double>(fill), mask.dtype());
  const int64_t pixel = mask.elements() == 0 ? 0 : mask.bytes() / (rows * columns);
  const std::byte* from = detail::Access::storage(mask)->data();
  std::byte* to = detail::Access::storage(result)->data();
  for (int64_t y = 0; y < height; ++y)
    for (int64_t x = 0; x < width; ++x, to += pixel) {
      const auto [u, v] = seen.at(static_cast<double>(x) + 0.5, static_cast<double>(y) + 0.5);
      const double column = std::floor(u), row = std::floor(v);
      if (!(column >= 0 && row >= 0 && column < static_cast<double>(columns) && row < static_cast<double>(rows)))
        continue;
      const int64_t at = static_cast<int64_t>(row) * columns + static_cast<int64_t>(column);
      std::memcpy(to, from + at * pixel, static_cast<size_t>(pixel));
    }
  return result;
}

// The rows of a list [n,...] that stay.
Tensor chosen(const Tensor& list, const std::vector<int64_t>& rows) {
  Tensor result = Tensor::empty(list.shape().with(0, static_cast<int64_t>(rows.size())), list.dtype());
  const int64_t bytes = list.size(0) == 0 ? 0 : list.bytes() / list.size(0);
  std::byte* to = detail::Access::storage(result)->data();
  for (const int64_t row : rows) {
    std::memcpy(to, detail::Access::storage(list)->data() + row * bytes, static_cast<size_t>(bytes));
    to += bytes;
  }
  return result;
}

void move_boxes(Sample& sample, const Affine& to, double height, double width) {
  const auto found = sample.lists.find("boxes");
  if (found == sample.lists.end()) return;
  const Tensor boxes = found->second;
  check(boxes.dtype() == DType::float32 && boxes.rank() == 2 && boxes.size(1) == 4, "augment: boxes of image ",
        sample.index, " are ", boxes.spec(), ", expected float32 [n,4]");
  std::vector<int64_t> stay;
  std::vector<float> values;
  const float* b = boxes.data<float>();
  for (int64_t i = 0; i < boxes.size(0); ++i, b += 4) {
    double x1 = INFINITY, y1 = INFINITY, x2 = -INFINITY, y2 = -INFINITY;
    for (const float x : {b[0], b[2]})
      for (const float y : {b[1], b[3]}) {
        const auto [u, v] = to.at(static_cast<double>(x), static_cast<double>(y));
        x1 = std::min(x1, u), x2 = std::max(x2, u), y1 = std::min(y1, v), y2 = std::max(y2, v);
      }
    const double whole = (x2 - x1) * (y2 - y1);
    x1 = std::clamp(x1, 0.0, width), x2 = std::clamp(x2, 0.0, width);
    y1 = std::clamp(y1, 0.0, height), y2 = std::clamp(y2, 0.0, height);
    if (!((x2 - x1) * (y2 - y1) >= kLeastPart * whole) || whole <= 0) continue;
    stay.push_back(i);
    for (const double v : {x1, y1, x2, y2}) values.push_back(static_cast<float>(v));
  }
  const auto count = static_cast<int64_t>(stay.size());
  for (auto& [name, list] : sample.lists) {
    if (!is_of_boxes(name) || name == "boxes") continue;
    check(list.rank() >= 1 && list.size(0) == boxes.size(0), "augment: \"", name, "\" of image ", sample.index, " is ",
          list.spec(), " beside ", boxes.size(0), " boxes");
    if (count < boxes.size(0)) list = chosen(list, stay);
  }
  found->second = Tensor::from({count, 4}, values);
}

}  // namespace

Affine Affine::inverse() const {
  const double d = xx * yy - xy * yx;
  Affine r{yy / d, -xy / d, 0, -yx / d, xx / d, 0};
  r.x0 = -(r.xx * x0 + r.xy * y0);
  r.y0 = -(r.yx * x0 + r.yy * y0);
  return r;
}

bool is_mask(std::string_view name) { return name == "mask" || name.ends_with("_mask"); }
bool is_of_boxes(std::string_view name) { return name == "boxes" || name == "classes" || name.starts_with("box_"); }

void check_probability(std::string_view augmentation, double probability) {
  check(probability >= 0 && probability <= 1, augmentation, ": probability is ", probability, ", expected 0 to 1");
}

double between(Random& random, double low, double high) { return low + (high - low) * random.uniform(); }

Sides sides_of(const Sample& sample, std::string_view augmentation) {
  const Tensor& image = sample.image;
  check(image.defined() && image.dtype() == DType::float32 && image.rank() == 4 && image.size(0) == 1 &&
            image.elements() > 0,
        augmentation, ": image ", sample.index, " is ", image.defined() ? to_string(image.spec()) : "undefined",
        ", expected float32 [1,H,W,C]");
  return {image.size(1), image.size(2), image.size(3)};
}

float* own_pixels(Sample& sample) {
  if (detail::Access::storage(sample.image).use_count() > 1) sample.image = sample.image.clone();
  return detail::Access::write<float>(sample.image);
}

void move_targets(Sample& sample, const AugmentContext& context, const Sides& from, const Affine& seen, int64_t height,
                  int64_t width) {
  for (Tensors* tensors : {&sample.targets, &sample.lists})
    for (auto& [name, tensor] : *tensors) {
      if (!is_mask(name)) continue;
      check((tensor.rank() == 2 || tensor.rank() == 3) && tensor.size(0) == from.height && tensor.size(1) == from.width,
            "augment: \"", name, "\" of image ", sample.index, " is ", tensor.spec(), ", expected [", from.height, ",",
            from.width, "] or [", from.height, ",", from.width, ",K], the image's size");
      tensor = moved_mask(tensor, seen, height, width, context.mask_fill);
    }
  move_boxes(sample, seen.inverse(), static_cast<double>(height), static_cast<double>(width));
}

void move(Sample& sample, const AugmentContext& context, std::string_view augmentation, const Affine& seen,
          int64_t height, int64_t width) {
  const Sides from = sides_of(sample, augmentation);
  check(static_cast<int64_t>(context.black.size()) == from.channels, augmentation, ": ", context.black.size(),
        " values of black for an image of ", from.channels, " channels");
  Tensor result = Tensor::empty({1, height, width, from.channels});
  const float* in = sample.image.data<float>();
  float* out = detail::Access::write<float>(result);
  for (int64_t y = 0; y < height; ++y)
    for (int64_t x = 0; x < width; ++x, out += from.channels) {
      const auto [u, v] = seen.at(static_cast<double>(x) + 0.5, static_cast<double>(y) + 0.5);
      const double left = std::floor(u - 0.5), top = std::floor(v - 0.5);
      const auto right_part = static_cast<float>(u - 0.5 - left), lower_part = static_cast<float>(v - 0.5 - top);
      const auto pixel = [&](double row, double column) {
        const bool inside = row >= 0 && column >= 0 && row < static_cast<double>(from.height) &&
                            column < static_cast<double>(from.width);
        return inside ? in + (static_cast<int64_t>(row) * from.width + static_cast<int64_t>(column)) * from.channels
                      : context.black.data();
      };
      const float *a = pixel(top, left), *b = pixel(top, left + 1), *c = pixel(top + 1, left),
                  *d = pixel(top + 1, left + 1);
      const auto mixed = [](float p, float q, float part) { return part == 0 ? p : p + (q - p) * part; };
      for (int64_t k = 0; k < from.channels; ++k)
        out[k] = mixed(mixed(a[k], b[k], right_part), mixed(c[k], d[k], right_part), lower_part);
    }
  sample.image = result;
  move_targets(sample, context, from, seen, height, width);
}

}  // namespace sinter::data
