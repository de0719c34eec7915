#include <algorithm>
#include <cmath>

#include "../../core/autograd.h"
#include "../../core/ops/concat.h"
#include "moved.h"

namespace sinter::data {

namespace {

double normal(Random& random) {
  float value = 0;
  fill_normal({&value, 1}, random, 1);
  return static_cast<double>(value);
}

// Gamma(shape, 1) (Marsaglia and Tsang, 2000), below 1 by Gamma(shape + 1) U^(1/shape).
double gamma(Random& random, double shape) {
  if (shape < 1) return gamma(random, shape + 1) * std::pow(1 - random.uniform(), 1 / shape);
  const double d = shape - 1.0 / 3, c = 1 / std::sqrt(9 * d);
  for (;;) {
    const double x = normal(random), v = std::pow(1 + c * x, 3);
    if (v > 0 && std::log(1 - random.uniform()) < 0.5 * x * x + d - d * v + d * std::log(v)) return d * v;
  }
}

double beta(Random& random, double alpha) {
  const double a = gamma(random, alpha), b = gamma(random, alpha);
  return a + b > 0 ? a / (a + b) : 0.5;
}

// The lists of boxes, one sample's behind the other's.
void append_boxes(Sample& sample, const Sample& other) {
  for (auto& [name, list] : sample.lists) {
    if (!is_of_boxes(name)) continue;
    const Tensor& more = other.list(name);
    const NoGrad no_grad;
    list = list.size(0) == 0 ? more : more.size(0) == 0 ? list : concat({list, more}, 0);
  }
}

float mixed(double mix, float a, float b) {
  return static_cast<float>(mix * static_cast<double>(a) + (1 - mix) * static_cast<double>(b));
}

void mix_into(Tensor& a, const Tensor& b, double mix) {
  Tensor result = Tensor::empty(a.shape());
  float* out = detail::Access::write<float>(result);
  for (int64_t i = 0; i < a.elements(); ++i) out[i] = mixed(mix, a.data<float>()[i], b.data<float>()[i]);
  a = result;
}

}  // namespace

Augmentation mixup(const MixupOptions& o) {
  check(o.alpha > 0 && std::isfinite(o.alpha), "mixup: alpha is ", o.alpha, ", expected above 0");
  check_probability("mixup", o.probability);
  return Augmentation([o](Sample& sample, AugmentContext& context) {
    const bool applies = context.random.uniform() < o.probability;
    double mix = 1;
    int64_t label = sample.label;
    if (applies) {
      const Sample other = context.other();
      mix = beta(context.random, o.alpha);
      label = other.label;
      check(other.image.spec() == sample.image.spec(), "mixup: images ", sample.index, " and ", other.index, " are ",
            sample.image.spec(), " and ", other.image.spec(), ", expected one size");
      mix_into(sample.image, other.image, mix);
      for (auto& [name, target] : sample.targets) {
        const Tensor& more = other[name];
        check(target.dtype() == DType::float32 && more.spec() == target.spec(), "mixup: the target \"", name, "\" is ",
              target.spec(), " and ", more.spec(), ", expected float32 of one shape: integers cannot be mixed");
        mix_into(target, more, mix);
      }
      append_boxes(sample, other);
    }
    sample.targets["mix"] = Tensor::full({}, mix);
    sample.targets["mix_label"] = Tensor::full({}, static_cast<double>(label), DType::int64);
  });
}

Augmentation mosaic(const MosaicOptions& o) {
  check_probability("mosaic", o.probability);
  check(o.least_scale > 0 && o.least_scale <= o.most_scale && std::isfinite(o.most_scale), "mosaic: scales are ",
        o.least_scale, " to ", o.most_scale, ", expected 0 < least <= most");
  return Augmentation([o](Sample& sample, AugmentContext& context) {
    Random& random = context.random;
    if (random.uniform() >= o.probability) return;
    const Sides sides = sides_of(sample, "mosaic");
    const int64_t middle_x = sides.width / 4 + random.below(sides.width / 2 + 1);
    const int64_t middle_y = sides.height / 4 + random.below(sides.height / 2 + 1);
    Sample whole;
    for (int part = 0; part < 4; ++part) {
      Sample one = part == 0 ? sample : context.other();
      const Sides own = sides_of(one, "mosaic");
      check(own.channels == sides.channels, "mosaic: images ", sample.index, " and ", one.index, " have ",
            sides.channels, " and ", own.channels, " channels");
      const double scale = between(random, o.least_scale, o.most_scale);
      // The corner that is nearest to the middle lies on it.
      const bool right = part % 2 == 1, lower = part / 2 == 1;
      const double x = static_cast<double>(middle_x) - (right ? 0 : scale * static_cast<double>(own.width));
      const double y = static_cast<double>(middle_y) - (lower ? 0 : scale * static_cast<double>(own.height));
      // Seen from the corner of its quarter, so that what is beyond that is cut off.
      const int64_t left = right ? middle_x : 0, top = lower ? middle_y : 0;
      const int64_t width = right ? sides.width - middle_x : middle_x,
                    height = lower ? sides.height - middle_y : middle_y;
      if (part == 0) {
        whole = sample;
        whole.image = Tensor::empty(sample.image.shape());
        for (auto& [name, list] : whole.lists)
          if (is_of_boxes(name)) list = Tensor::zeros(list.shape().with(0, 0), list.dtype());
        for (Tensors* tensors : {&whole.targets, &whole.lists})
          for (auto& [name, tensor] : *tensors)
            if (is_mask(name)) tensor = tensor.clone();
      }
      if (width == 0 || height == 0) continue;
      move(one, context, "mosaic",
           {.xx = 1 / scale,
            .x0 = (static_cast<double>(left) - x) / scale,
            .yy = 1 / scale,
            .y0 = (static_cast<double>(top) - y) / scale},
           height, width);
      const auto paste = [&](const Tensor& from, Tensor& to, int64_t rows_axis) {
        const int64_t pixel = from.bytes() / (height * width);
        const std::byte* source = detail::Access::storage(from)->data();
        std::byte* target = detail::Access::storage(to)->data();
        check(to.size(static_cast<int>(rows_axis)) == sides.height, "mosaic: masks differ in size");
        for (int64_t row = 0; row < height; ++row)
          std::copy_n(source + row * width * pixel, width * pixel, target + ((top + row) * sides.width + left) * pixel);
      };
      paste(one.image, whole.image, 1);
      for (auto& [name, tensor] : whole.targets)
        if (is_mask(name)) paste(one[name], tensor, 0);
      for (auto& [name, tensor] : whole.lists)
        if (is_mask(name)) paste(one.list(name), tensor, 0);
      if (const auto boxes = one.lists.find("boxes"); boxes != one.lists.end()) {
        Tensor moved = boxes->second.clone();
        float* b = detail::Access::write<float>(moved);
        for (int64_t i = 0; i < moved.elements(); ++i) b[i] += static_cast<float>(i % 2 == 0 ? left : top);
        boxes->second = moved;
      }
      append_boxes(whole, one);
    }
    sample = whole;
  });
}

}  // namespace sinter::data
