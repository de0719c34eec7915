#pragma once

#include <string>
#include <string_view>

#include "dataset.h"

namespace sinter::data {

struct CifarOptions {
  std::vector<double> mean{0.4914, 0.4822, 0.4465};  ///< of the training images, as pixels in 0..1
  std::vector<double> std{0.2470, 0.2435, 0.2616};
};

/// CIFAR-10 (Krizhevsky, 2009) from the folder of its binary version (data_batch_1.bin to _5.bin, test_batch.bin): RGB
/// images [32,32,3] of 10 classes; "train" has 50,000, "test" 10,000. Throws Error for a file that is missing or is not
/// what it should be.
ImageDataset cifar10(std::string_view split, const std::string& folder, const CifarOptions& options = {});

struct Cifar100Options {
  std::vector<double> mean{0.5071, 0.4865, 0.4409};
  std::vector<double> std{0.2673, 0.2564, 0.2762};
  bool coarse = false;  ///< the 20 classes of which each has five
};

/// CIFAR-100 likewise (train.bin, test.bin), of 100 classes, named where fine_label_names.txt (coarse_label_names.txt)
/// is there.
ImageDataset cifar100(std::string_view split, const std::string& folder, const Cifar100Options& options = {});

}  // namespace sinter::data
