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

  const ImageDataset all = idx_images(image_path, label_path,
                                      {.mean = {options.mean},
                                       .std = {options.std},
                                       .classes = {"T-shirt/top", "Trouser", "Pullover", "Dress", "Coat", "Sandal",
                                                   "Shirt", "Sneaker", "Bag", "Ankle boot"}});
  check(all.image_shape() == Shape{28, 28, 1}, image_path, ": holds images of ", all.image_shape(),
        ", expected [28,28,1]");
  return all;
}

}  // namespace sinter::data
