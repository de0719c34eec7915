#include "dataset.h"

#include <algorithm>
#include <cmath>

#include "../core/autograd.h"

namespace sinter::data {

namespace {

double of_channel(const std::vector<double>& values, int64_t channel, double otherwise) {
  if (values.empty()) return otherwise;
  return values[values.size() == 1 ? 0 : static_cast<size_t>(channel)];
}

void check_statistic(const std::vector<double>& values, const char* name, int64_t channels) {
  const auto count = static_cast<int64_t>(values.size());
  check(count <= 1 || count == channels, "ImageDataset: ", count, " values of ", name, " for images of ", channels,
        " channels");
  for (const double value : values) check(std::isfinite(value), "ImageDataset: ", name, " is ", value);
}

// The number of channels as a constant lets the compiler unroll the pixel.
template <int64_t kChannels>
void look_up(const float* normalized, const uint8_t* pixels, std::span<float> image) {
  for (size_t i = 0; i < image.size(); i += kChannels)
    for (size_t c = 0; c < kChannels; ++c) image[i + c] = normalized[c * 256 + pixels[i + c]];
}

}  // namespace

std::vector<float> Dataset::black() const { return std::vector<float>(static_cast<size_t>(image_shape()[2])); }

std::vector<float> Dataset::white() const { return std::vector<float>(static_cast<size_t>(image_shape()[2]), 1.0f); }

void Dataset::read(int64_t, std::span<float>) const {
  fail("dataset: it overrides neither read nor sample, or has images that only sample gives");
}

int64_t Dataset::label(int64_t) const { return 0; }

Sample Dataset::sample(int64_t index) const {
  const Shape shape = image_shape();
  Sample sample{.image = Tensor::empty({1, shape[0], shape[1], shape[2]}), .label = label(index), .index = index};
  read(index, {sinter::detail::Access::write<float>(sample.image), static_cast<size_t>(sample.image.elements())});
  return sample;
}

Sample Dataset::operator[](int64_t index) const {
  check(index >= 0 && index < size(), "dataset: image ", index, " was asked for, there are ", size());
  return sample(index);
}

ImageDataset::ImageDataset(const Tensor& images, const Tensor& labels, const ImageDatasetOptions& options)
    : images_(images), labels_(labels), size_(0), classes_(options.classes) {
  check(images.defined() && images.dtype() == DType::uint8 && (images.rank() == 3 || images.rank() == 4),
        "ImageDataset: images are ", images.spec(), ", expected uint8 [N,H,W,C] or [N,H,W]");
  check(labels.defined() && labels.dtype() == DType::int64 && labels.rank() == 1, "ImageDataset: labels are ",
        labels.spec(), ", expected int64 [N]");
  size_ = images.size(0);
  check(labels.size(0) == size_, "ImageDataset: ", size_, " images, but ", labels.size(0), " labels");
  const int64_t channels = images.rank() == 4 ? images.size(3) : 1;
  image_shape_ = {images.size(1), images.size(2), channels};
  check(image_shape_.elements() > 0, "ImageDataset: images of ", image_shape_, " have no pixels");

  const auto classes = static_cast<int64_t>(classes_.size());
  for (int64_t i = 0; i < size_; ++i)
    check(label(i) >= 0 && (classes == 0 || label(i) < classes), "ImageDataset: label ", label(i), " of image ", i,
          classes == 0 ? text(" is negative") : text(" is outside 0..", classes - 1));

  check_statistic(options.mean, "mean", channels);
  check_statistic(options.std, "std", channels);
  for (int64_t c = 0; c < channels; ++c) {
    const double mean = of_channel(options.mean, c, 0), std = of_channel(options.std, c, 1);
    check(std > 0, "ImageDataset: std of channel ", c, " is ", std, ", expected more than 0");
    for (int pixel = 0; pixel < 256; ++pixel) normalized_.push_back(static_cast<float>((pixel / 255.0 - mean) / std));
  }
}

void ImageDataset::read(int64_t index, std::span<float> image) const {
  const uint8_t* pixels = images_.data<uint8_t>() + index * image_shape_.elements();
  const auto channels = static_cast<size_t>(image_shape_[2]);
  if (channels == 1) return look_up<1>(normalized_.data(), pixels, image);
  if (channels == 3) return look_up<3>(normalized_.data(), pixels, image);
  for (size_t i = 0; i < image.size(); ++i) image[i] = normalized_[i % channels * 256 + pixels[i]];
}

std::vector<float> ImageDataset::black() const {
  std::vector<float> black;
  for (size_t i = 0; i < normalized_.size(); i += 256) black.push_back(normalized_[i]);
  return black;
}

std::vector<float> ImageDataset::white() const {
  std::vector<float> white;
  for (size_t i = 255; i < normalized_.size(); i += 256) white.push_back(normalized_[i]);
  return white;
}

ImageDataset ImageDataset::take(int64_t count) const {
  check(count >= 0, "take: ", count, " images were asked for");
  ImageDataset first = *this;
  first.size_ = std::min(count, size_);
  return first;
}

}  // namespace sinter::data
