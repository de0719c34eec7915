#include "../../../core/ops/reduce.h"

#include "../../../core/ops/cross_entropy.h"
#include "../../support.h"

using namespace sinter;

namespace {
using Reduction = Tensor (*)(const Tensor&, std::vector<int64_t>, bool);
struct Named {
  const char* name;
  Reduction f;
};
const Named kOps[] = {{"sum", sum}, {"mean", mean}, {"max", max}};
}  // namespace

TEST_CASE("reductions compute what PyTorch's compute") {
  int cases = 0;
  for (const auto& c : test::golden("ops"))
    for (const Named& op : kOps)
      if (c.name.starts_with(std::string(op.name) + " [")) {
        ++cases;
        const auto axes = c.attribute<std::vector<int64_t>>("axes");
        const bool keep = c.attribute<bool>("keep");
        const Reduction g = op.f;
        const auto reduced = [g, axes, keep](const Tensor& x) { return g(x, axes, keep); };
        CHECK_GOLDEN(c, reduced);
      }
  CHECK(cases == 15);
}

TEST_CASE("their gradients are those of finite differences") {
  for (const Named& op : kOps) {
    INFO(op.name);
    const Reduction g = op.f;
    CHECK_GRADIENT([g](const Tensor& x) { return g(x, {0, 2}, false); }, {test::distinct({3, 2, 4})});
    CHECK_GRADIENT([g](const Tensor& x) { return g(x, {}, false); }, {test::distinct({3, 4})});
  }
}

TEST_CASE("they do not depend on the number of threads") {
  for (const Named& op : kOps) {
    INFO(op.name);
    const Reduction g = op.f;
    CHECK_THREADS([g](const Tensor& x) { return g(x, {1, 2}, false); }, {test::normal({40, 19, 17, 16})});
    CHECK_THREADS([g](const Tensor& x) { return g(x, {}, false); }, {test::normal({100003})});
  }
}

TEST_CASE("reductions say what does not fit") {
  const Tensor x = Tensor::zeros({2, 3});
  CHECK_ERROR(sum(x, {2}), "sum: axis 2 is out of range for 2 axes");
  CHECK_ERROR(mean(x, {0, -2}), "mean: axis -2 is named twice");
  CHECK_ERROR(max(Tensor::zeros({0, 3}), {0}), "max: input is [0,3], expected at least one element to choose from");
  CHECK_ERROR(sum(Tensor::zeros({2}, DType::int32)), "sum: ");
}

TEST_CASE("cross_entropy computes what PyTorch's computes") {
  int cases = 0;
  for (const auto& c : test::golden("ops"))
    if (c.name.starts_with("cross_entropy")) {
      ++cases;
      const double smoothing = c.attribute<double>("label_smoothing");
      const auto loss = [smoothing](const Tensor& x, const Tensor& labels) {
        return cross_entropy(x, labels, {.label_smoothing = smoothing});
      };
      CHECK_GOLDEN(c, loss);
    }
  CHECK(cases == 2);
}

TEST_CASE("cross_entropy's gradient is that of finite differences, and of any number of threads") {
  const Tensor labels = Tensor::from({3}, std::vector<int64_t>{1, 0, 2});
  CHECK_GRADIENT([&](const Tensor& x) { return cross_entropy(x, labels, {.label_smoothing = 0.2}); },
                 {test::normal({3, 4})});
  const Tensor many = Tensor::zeros({5000}, DType::int64);
  CHECK_THREADS([&](const Tensor& x) { return cross_entropy(x, many); }, {test::normal({5000, 10})});
}

TEST_CASE("cross_entropy stands large logits and says what does not fit") {
  const Tensor label = Tensor::from({1}, std::vector<int64_t>{0});
  CHECK(cross_entropy(Tensor::from({1, 2}, {1000, -1000}), label).item() == 0);
  CHECK(cross_entropy(Tensor::from({1, 2}, {-1000, 1000}), label).item() == 2000);
  CHECK_ERROR(cross_entropy(Tensor::zeros({1, 2}), Tensor::full({1}, 2, DType::int64)),
              "cross_entropy: label 2 of row 0, expected 0..1");
  CHECK_ERROR(cross_entropy(Tensor::zeros({2, 2}), label), "cross_entropy: labels are int64 [1], expected int64 [2]");
  CHECK_ERROR(cross_entropy(Tensor::zeros({2}), label), "cross_entropy: logits are float32 [2]");
}
