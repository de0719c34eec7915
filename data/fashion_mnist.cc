#include "fashion_mnist.h"

#include <filesystem>

#include "idx.h"

namespace sinter::data {

namespace {

constexpr const char* kDirectory = "/usr/share/datasets/fashion-mnist";

std::string find(const std::filesystem::path& directory, const std::string& name) {
  for (const char* suffix : {".gz", ""}) {
    const std::string path = (directory / (name + suffix)).string();
    std::error_code ignored;  // what exists and cannot be read is read_idx's to report
    if (std::filesystem::exists(path, ignored)) return path;
  }
  fail("fashion_mnist: ", (directory / name).string(),
       ".gz is missing: `apt install dataset-fashion-mnist`, or give the directory that has it");
}

}  // namespace

ImageDataset fashion_mnist(std::string_view split, const FashionMnistOptions& options) {
  check(split == "train" || split == "test", "fashion_mnist: unknown split \"", split, "\" (known: train, test)");
  const std::string prefix = split == "train" ? "train" : "t10k";
  const std::filesystem::path directory = options.directory.empty() ? kDirectory : options.directory;
  const std::string image_path = find(directory, prefix + "-images-idx3-ubyte");
  const std::string label_path = find(directory, prefix + "-labels-idx1-ubyte");

  const Tensor images = read_idx(image_path), labels = read_idx(label_path);
  check(images.dtype() == DType::uint8 && images.rank() == 3 && images.size(1) == 28 && images.size(2) == 28,
        image_path, ": holds ", images.spec(), ", expected uint8 [N,28,28]");
  check(images.size(0) > 0, image_path, ": holds no images");
  check(labels.dtype() == DType::uint8 && labels.rank() == 1, label_path, ": holds ", labels.spec(),
        ", expected uint8 [N]");
  check(labels.size(0) == images.size(0), label_path, ": holds ", labels.size(0), " labels, but ", image_path, " ",
        images.size(0), " images");
  for (int64_t i = 0; i < labels.size(0); ++i)
    check(labels.data<uint8_t>()[i] < 10, label_path, ": label ", labels.data<uint8_t>()[i], " of image ", i,
          " is outside 0..9");

  return {images,
          labels.to(DType::int64),
          {.mean = {options.mean},
           .std = {options.std},
           .classes = {"T-shirt/top", "Trouser", "Pullover", "Dress", "Coat", "Sandal", "Shirt", "Sneaker", "Bag",
                       "Ankle boot"}}};
}

}  // namespace sinter::data
