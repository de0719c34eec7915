#include "tensor_dataset.h"

#include <algorithm>
#include <cstring>

#include "../core/autograd.h"

namespace sinter::data {

namespace {

// Row `index` of a tensor [N,...].
Tensor row_of(const Tensor& tensor, int64_t index) {
  Shape shape = tensor.shape();
  std::vector<int64_t> sizes(shape.begin() + 1, shape.end());
  Tensor row = Tensor::empty(Shape(std::span<const int64_t>(sizes)), tensor.dtype());
  if (row.bytes() > 0)
    std::memcpy(detail::Access::storage(row)->data(), detail::Access::storage(tensor)->data() + index * row.bytes(),
                static_cast<size_t>(row.bytes()));
  return row;
}

}  // namespace

TensorDataset::TensorDataset(const Tensor& images, TensorDatasetOptions options)
    : images_(images), options_(std::move(options)) {
  check(images.defined() && images.dtype() == DType::float32 && images.rank() == 4, "TensorDataset: images are ",
        images.defined() ? to_string(images.spec()) : "undefined", ", expected float32 [N,H,W,C]");
  const int64_t count = images.size(0), channels = images.size(3);
  if (const Tensor& labels = options_.labels; labels.defined()) {
    check(labels.dtype() == DType::int64 && labels.shape() == Shape{count}, "TensorDataset: labels are ", labels.spec(),
          ", expected int64 [", count, "]");
    const auto classes = static_cast<int64_t>(options_.classes.size());
    for (int64_t i = 0; i < count; ++i)
      check(label(i) >= 0 && (classes == 0 || label(i) < classes), "TensorDataset: label ", label(i), " of image ", i,
            classes == 0 ? text(" is negative") : text(" is outside 0..", classes - 1));
  }
  for (const auto& [name, target] : options_.targets)
    check(target.defined() && target.rank() >= 1 && target.size(0) == count, "TensorDataset: the target \"", name,
          "\" is ", target.defined() ? to_string(target.spec()) : "undefined", ", expected [", count, ",...]");
  for (const auto& [name, list] : options_.lists) {
    check(static_cast<int64_t>(list.size()) == count, "TensorDataset: the list \"", name, "\" has ", list.size(),
          " tensors for ", count, " images");
    for (const Tensor& tensor : list)
      check(tensor.defined(), "TensorDataset: the list \"", name, "\" has an undefined tensor");
  }
  for (const std::vector<float>* level : {&options_.black, &options_.white})
    check(level->empty() || static_cast<int64_t>(level->size()) == channels, "TensorDataset: ", level->size(),
          " values of black or white for images of ", channels, " channels");
}

Shape TensorDataset::image_shape() const { return {images_.size(1), images_.size(2), images_.size(3)}; }

void TensorDataset::read(int64_t index, std::span<float> image) const {
  std::copy_n(images_.data<float>() + index * static_cast<int64_t>(image.size()), image.size(), image.data());
}

int64_t TensorDataset::label(int64_t index) const {
  return options_.labels.defined() ? options_.labels.data<int64_t>()[index] : 0;
}

Sample TensorDataset::sample(int64_t index) const {
  Sample sample = Dataset::sample(index);
  for (const auto& [name, target] : options_.targets) sample.targets[name] = row_of(target, index);
  for (const auto& [name, list] : options_.lists) sample.lists[name] = list[static_cast<size_t>(index)];
  return sample;
}

std::vector<float> TensorDataset::black() const { return options_.black.empty() ? Dataset::black() : options_.black; }
std::vector<float> TensorDataset::white() const { return options_.white.empty() ? Dataset::white() : options_.white; }

}  // namespace sinter::data
