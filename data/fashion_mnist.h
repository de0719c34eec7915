#pragma once

#include <string>
#include <string_view>

#include "dataset.h"

namespace sinter::data {

struct FashionMnistOptions {
  std::string directory{};  ///< of the four IDX files, plain or .gz; empty: where Debian's package puts them
  double mean = 0.2860;     ///< of the training images, as pixels in 0..1
  double std = 0.3530;
};

/// Fashion-MNIST (Xiao et al., 1708.07747), greyscale images [28,28,1] of 10 classes: "train" has 60,000, "test"
/// 10,000. Throws Error when a file is missing (naming the Debian package to install) or is not what it should be.
ImageDataset fashion_mnist(std::string_view split, const FashionMnistOptions& options = {});

}  // namespace sinter::data
