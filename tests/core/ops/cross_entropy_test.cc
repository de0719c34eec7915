#include "../../../core/ops/cross_entropy.h"

#include "../../support.h"

using namespace sinter;

namespace {

Tensor labels(const std::vector<int64_t>& values) {
  return Tensor::from({static_cast<int64_t>(values.size())}, values);
}

auto loss(double label_smoothing) {
  return [label_smoothing](const Tensor& x, const Tensor& target) {
    return cross_entropy(x, target, {.label_smoothing = label_smoothing});
  };
}

}  // namespace

TEST_CASE("cross_entropy computes what PyTorch's computes") {
  for (const auto& c : test::golden("loss")) CHECK_GOLDEN(c, loss(c.attribute<double>("label_smoothing")));
}

TEST_CASE("cross_entropy's gradient is that of finite differences") {
  const Tensor target = labels({4, 0, 2});
  CHECK_GRADIENT(loss(0), {test::normal({3, 5}), target});
  CHECK_GRADIENT(loss(0.1), {test::normal({3, 5}), target});
}

TEST_CASE("cross_entropy does not depend on the number of threads") {
  std::vector<int64_t> target;
  for (int64_t i = 0; i < 3000; ++i) target.push_back(i % 11);
  CHECK_THREADS(loss(0.1), {test::normal({3000, 11}), labels(target)});
}

TEST_CASE("cross_entropy says what does not fit") {
  const Tensor x = Tensor::zeros({2, 3});
  CHECK_ERROR(cross_entropy(x, labels({0, 3})), "cross_entropy: label 3 of row 1, expected 0..2");
  CHECK_ERROR(cross_entropy(x, labels({-1, 0})), "cross_entropy: label -1 of row 0, expected 0..2");
  CHECK_ERROR(cross_entropy(x, labels({0})), "cross_entropy: labels are int64 [1], expected int64 [2]");
  CHECK_ERROR(cross_entropy(x, Tensor::zeros({2})), "cross_entropy: labels are float32 [2], expected int64 [2]");
  CHECK_ERROR(cross_entropy(Tensor::zeros({3}), labels({0})), "cross_entropy: labels are int64 [1], expected int64 []");
  CHECK_ERROR(cross_entropy(Tensor::zeros({2, 3}, DType::int32), labels({0, 0})),
              "cross_entropy: logits are int32 [2,3], expected float32 [...,classes]");
  CHECK_ERROR(cross_entropy(Tensor::zeros({2, 0}), labels({0, 0})),
              "cross_entropy: logits are [2,0], expected at least one class");
  CHECK_ERROR(cross_entropy(x, labels({0, 0}), {.label_smoothing = 1.5}),
              "cross_entropy: label_smoothing is 1.5, expected 0..1");
}
