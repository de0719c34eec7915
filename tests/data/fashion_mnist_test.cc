#include "../../data/fashion_mnist.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>

#include "../../data/idx.h"
#include "files.h"

using namespace sinter;
using namespace sinter::data;
using namespace sinter::test;

TEST_CASE("fashion_mnist is the real one") {
  const ImageDataset train = fashion_mnist("train"), test = fashion_mnist("test");
  CHECK(train.size() == 60000);
  CHECK(test.size() == 10000);
  CHECK(train.image_shape() == Shape{28, 28, 1});
  CHECK(train.classes().size() == 10);
  CHECK(train.classes()[static_cast<size_t>(train.label(0))] == "Ankle boot");

  const std::vector<int64_t> first_train{9, 0, 0, 3, 0, 2, 7, 2, 5, 5}, first_test{9, 2, 1, 1, 6, 1, 4, 6, 5, 7};
  for (int64_t i = 0; i < 10; ++i) {
    CHECK(train.label(i) == first_train[static_cast<size_t>(i)]);
    CHECK(test.label(i) == first_test[static_cast<size_t>(i)]);
  }
  for (const auto* split : {&train, &test}) {
    std::vector<int64_t> counts(10);
    for (int64_t i = 0; i < split->size(); ++i) ++counts[static_cast<size_t>(split->label(i))];
    CHECK(std::ranges::count(counts, split->size() / 10) == 10);
  }
}

TEST_CASE("fashion_mnist's mean and standard deviation are those of its training images") {
  const Tensor images = read_idx("/usr/share/datasets/fashion-mnist/train-images-idx3-ubyte.gz");
  int64_t sum = 0, squares = 0;
  for (const int pixel : images.values<uint8_t>()) {
    sum += pixel;
    squares += pixel * pixel;
  }
  const auto count = static_cast<double>(images.elements());
  const double mean = static_cast<double>(sum) / count;
  const double std = std::sqrt(static_cast<double>(squares) / count - mean * mean);
  const FashionMnistOptions defaults;
  CHECK(std::abs(mean / 255 - defaults.mean) < 0.00005);
  CHECK(std::abs(std / 255 - defaults.std) < 0.00005);

  const ImageDataset train = fashion_mnist("train"), other = fashion_mnist("train", {.mean = 0.5, .std = 0.25});
  const float pixel = images.data<uint8_t>()[14 * 28 + 14];
  REQUIRE(pixel > 0);
  CHECK(train[0].image.at({0, 14, 14, 0}) == doctest::Approx((pixel / 255 - 0.2860) / 0.3530));
  CHECK(other[0].image.at({0, 14, 14, 0}) == doctest::Approx((pixel / 255 - 0.5) / 0.25));
}

TEST_CASE("fashion_mnist names what is wrong with its files") {
  const TemporaryDirectory directory;
  const std::string images = directory / "t10k-images-idx3-ubyte", labels = directory / "t10k-labels-idx1-ubyte";
  const auto load = [&] { return fashion_mnist("test", {.directory = directory.path()}); };
  const auto write = [&](const std::string& image_file, const std::string& label_file) {
    write_file(images, image_file);
    write_file(labels, label_file);
  };
  const std::string two = idx(8, {2, 28, 28}, std::string(2 * 28 * 28, '\x7f')), good = idx(8, {2}, {"\x00\x09", 2});

  CHECK_THROWS_WITH_AS(fashion_mnist("valid"), "fashion_mnist: unknown split \"valid\" (known: train, test)", Error);
  CHECK_THROWS_WITH_AS(load(),
                       ("fashion_mnist: " + images +
                        ".gz is missing: `apt install dataset-fashion-mnist`, or "
                        "give the directory that has it")
                           .c_str(),
                       Error);
  write_file(images, two);
  CHECK_THROWS_WITH_AS(load(),
                       ("fashion_mnist: " + labels +
                        ".gz is missing: `apt install dataset-fashion-mnist`, or "
                        "give the directory that has it")
                           .c_str(),
                       Error);

  write(two, good);  // plain files are as good
  CHECK(load().size() == 2);
  CHECK(load().label(1) == 9);

  write(two, idx(8, {1}, "\1"));
  CHECK_THROWS_WITH_AS(load(), (labels + ": holds 1 labels, but " + images + " 2 images").c_str(), Error);
  write(two, idx(8, {2}, "\1\12"));
  CHECK_THROWS_WITH_AS(load(), (labels + ": label 10 of image 1 is outside 0..9").c_str(), Error);
  write(two, idx(8, {2, 1}, "\1\1"));
  CHECK_THROWS_WITH_AS(load(), (labels + ": holds uint8 [2,1], expected integers [N]").c_str(), Error);
  write(idx(8, {2, 28, 27}, std::string(2 * 28 * 27, 'x')), good);
  CHECK_THROWS_WITH_AS(load(), (images + ": holds images of [28,27,1], expected [28,28,1]").c_str(), Error);
  write(idx(9, {2, 28, 28}, std::string(2 * 28 * 28, 'x')), good);
  CHECK_THROWS_WITH_AS(load(), (images + ": holds int8 [2,28,28], expected uint8 [N,H,W] or [N,H,W,C]").c_str(), Error);
  write(idx(8, {0, 28, 28}, ""), idx(8, {0}, ""));
  CHECK_THROWS_WITH_AS(load(), (images + ": holds no images").c_str(), Error);
  write(two.substr(0, 100), good);
  CHECK_THROWS_WITH_AS(load(),
                       (images + ": is cut short: its header promises uint8 [2,28,28], 1568 bytes, and there "
                                 "are 84")
                           .c_str(),
                       Error);

  // Of a plain and a compressed file, the compressed one is read.
  write_file(images + ".gz", gzip(two));
  CHECK(load().size() == 2);
}
