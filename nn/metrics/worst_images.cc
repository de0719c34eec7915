#include "worst_images.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <span>

#include "../../core/format.h"
#include "../../data/inputs.h"

namespace sinter::nn {

namespace {

struct Judgement {
  double score;
  std::string caption;
};

Judgement cross_entropy_of(const Outputs& outputs, const data::Batch& batch, int64_t n,
                           const WorstImagesOptions& options) {
  const Tensor& logits = detail::output_of(outputs, options.output, "worst images");
  const detail::Labels labels(logits, detail::target_of(batch, options.target), options.ignore_index, "worst images");
  const int64_t each = labels.rows() / logits.size(0);
  double sum = 0;
  int64_t rows = 0;
  for (int64_t row = n * each; row < (n + 1) * each; ++row) {
    const int64_t label = labels[row];
    if (label < 0) continue;
    const float* x = logits.data<float>() + row * labels.classes();
    const double most = static_cast<double>(*std::max_element(x, x + labels.classes()));
    double all = 0;
    for (int64_t i = 0; i < labels.classes(); ++i) all += std::exp(static_cast<double>(x[i]) - most);
    sum += most + std::log(all) - static_cast<double>(x[label]);
    ++rows;
  }
  const double score = rows == 0 ? 0 : sum / static_cast<double>(rows);
  std::string caption = text("loss ", with_digits(score, 4));
  if (each == 1 && rows == 1) {
    const auto name = [&](int64_t cls) {
      return cls < std::ssize(options.classes) ? options.classes[static_cast<size_t>(cls)] : text(cls);
    };
    caption = text(name(labels[n]), " taken for ", name(labels.predicted(n)), ", ", caption);
  }
  return {score, caption};
}

}  // namespace

Tensor to_picture(const Tensor& images, int64_t n) {
  check(images.defined() && images.dtype() == DType::float32 && images.rank() == 4, "picture: images are ",
        images.spec(), ", expected float32 [N,H,W,C]");
  const int64_t height = images.size(1), width = images.size(2), channels = images.size(3);
  const int64_t shown = channels == 3 ? 3 : 1;
  const auto values = images.values<float>().subspan(static_cast<size_t>(n * height * width * channels),
                                                     static_cast<size_t>(height * width * channels));
  float low = 0, high = 0;
  bool any = false;
  for (const float v : values) {
    if (!std::isfinite(v)) continue;
    low = any ? std::min(low, v) : v;
    high = any ? std::max(high, v) : v;
    any = true;
  }
  Tensor picture = Tensor::zeros({height, width, shown}, DType::uint8);
  uint8_t* out = picture.mutable_data<uint8_t>();
  for (int64_t i = 0; i < height * width; ++i)
    for (int64_t c = 0; c < shown; ++c) {
      const float v = values[static_cast<size_t>(i * channels + c)];
      const float part = high > low && std::isfinite(v) ? (v - low) / (high - low) : 0;
      out[i * shown + c] = static_cast<uint8_t>(std::lround(255 * part));
    }
  return picture;
}

WorstImages::WorstImages(WorstImagesOptions options) : options_(std::move(options)) {
  check(options_.count >= 0, "worst images: count is ", options_.count);
}

void WorstImages::add(const Outputs& outputs, const data::Batch& batch) {
  for (int64_t n = 0; n < data::count_of(batch); ++n) {
    Judgement found{0, ""};
    if (options_.score) {
      found.score = options_.score(outputs, batch, n);
      found.caption = text("score ", with_digits(found.score, 4));
    } else {
      found = cross_entropy_of(outputs, batch, n, options_);
    }
    if (std::isnan(found.score)) found.score = std::numeric_limits<double>::infinity();
    const auto at = std::upper_bound(worst_.begin(), worst_.end(), found.score,
                                     [](double score, const Found& other) { return score > other.score; });
    if (at - worst_.begin() >= options_.count) continue;
    const int64_t index = n < std::ssize(batch.samples) ? batch.samples[static_cast<size_t>(n)] : n;
    worst_.insert(at, {found.score, {text("image ", index, ": ", found.caption), to_picture(batch.images, n)}});
    if (std::ssize(worst_) > options_.count) worst_.pop_back();
  }
}

Measured WorstImages::measured() const {
  Measured measured;
  for (const Found& found : worst_) measured.pictures.push_back(found.picture);
  return measured;
}

}  // namespace sinter::nn
