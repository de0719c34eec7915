#include "../../nn/metrics.h"

#include <doctest/doctest.h>

#include <limits>

using namespace sinter;
using doctest::Approx;

namespace {

Tensor labels(std::vector<int64_t> values) {
  return Tensor::from<int64_t>({static_cast<int64_t>(values.size())}, values);
}

}  // namespace

TEST_CASE("accuracy is the percentage of rows whose label has the largest logit") {
  const Tensor logits = Tensor::from({4, 3}, {1, 2, 0, 5, 4, 3, 0, 0, 9, -3, -2, -1});
  CHECK(nn::accuracy(logits, labels({1, 0, 2, 2})) == 100);
  CHECK(nn::accuracy(logits, labels({1, 0, 2, 0})) == 75);
  CHECK(nn::count_correct(logits, labels({0, 1, 1, 0})) == 0);
  CHECK(nn::count_correct(logits, labels({0, 1, 1, 0}), 2) == 2);
  CHECK(nn::top_k_accuracy(logits, labels({0, 1, 1, 0}), 3) == 100);
}

TEST_CASE("of equal logits the first counts as the largest") {
  const Tensor logits = Tensor::zeros({2, 3});
  CHECK(nn::count_correct(logits, labels({0, 1})) == 1);
  CHECK(nn::count_correct(logits, labels({0, 1}), 2) == 2);
}

TEST_CASE("NaN never counts as a hit") {
  const float nan = std::numeric_limits<float>::quiet_NaN();
  const Tensor logits = Tensor::from({3, 2}, {nan, nan, 1, nan, nan, 1});
  CHECK(nn::count_correct(logits, labels({0, 0, 1})) == 0);
  CHECK(nn::count_correct(logits, labels({0, 0, 1}), 2) == 2);
}

TEST_CASE("what is no classification is refused") {
  const Tensor logits = Tensor::zeros({2, 3});
  CHECK_THROWS_WITH_AS(nn::accuracy(logits, labels({0})), "accuracy: labels are int64 [1], expected int64 [2]", Error);
  CHECK_THROWS_WITH_AS(nn::accuracy(logits, labels({0, 3})), "accuracy: label 3 of image 1 is not in 0..2", Error);
  CHECK_THROWS_WITH_AS(nn::accuracy(logits, labels({-1, 0})), "accuracy: label -1 of image 0 is not in 0..2", Error);
  CHECK_THROWS_WITH_AS(nn::accuracy(Tensor::zeros({3}), labels({0, 0, 0})),
                       "accuracy: logits are float32 [3], expected float32 [N,classes]", Error);
  CHECK_THROWS_WITH_AS(nn::accuracy(logits, Tensor::zeros({2})), "accuracy: labels are float32 [2], expected int64 [2]",
                       Error);
  CHECK_THROWS_WITH_AS(nn::top_k_accuracy(logits, labels({0, 0}), 0), "accuracy: k is 0, expected at least 1", Error);
  CHECK_THROWS_WITH_AS(nn::accuracy(Tensor::zeros({0, 3}), labels({})), "accuracy: there are no images", Error);
}

TEST_CASE("a meter weighs batches by their images") {
  nn::Meter meter;
  CHECK(meter.loss() == 0);
  CHECK(meter.accuracy() == 0);
  meter.add(1, Tensor::from({3, 2}, {1, 0, 1, 0, 1, 0}), labels({0, 0, 1}));
  meter.add(5, Tensor::from({1, 2}, {1, 0}), labels({0}));
  CHECK(meter.images() == 4);
  CHECK(meter.correct() == 3);
  CHECK(meter.loss() == Approx(2));
  CHECK(meter.accuracy() == Approx(75));
}
