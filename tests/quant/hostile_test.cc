#include "../../examples/hostile.h"

#include "../../nn/models/resnet.h"
#include "../../quant/post_training/equalize.h"
#include "post_training/networks.h"

using namespace sinter;

namespace {

const Tensor kExample = Tensor::zeros({1, 8, 8, 3});

// Largest over smallest magnitude of the rows of a weight.
double spread(const Tensor& weight) {
  double least = INFINITY, most = 0;
  const int64_t each = weight.elements() / weight.size(0);
  for (int64_t o = 0; o < weight.size(0); ++o) {
    double row = 0;
    for (int64_t k = 0; k < each; ++k) row = std::max(row, std::abs(double{weight.data<float>()[o * each + k]}));
    least = std::min(least, row);
    most = std::max(most, row);
  }
  return most / least;
}

template <class Model>
void check_hostile(Model model) {
  const Tensor x = test::images({16, 8, 8, 3});
  model.eval();
  const NoGrad no_grad;
  const Tensor expected = model(x);
  const auto good = quant::prepare_qat(model, kExample, {.march = "nash"});
  for (const uint64_t seed : {1, 2}) {
    Model other = model;
    examples::make_hostile(other, kExample, {.seed = seed});
    CHECK_CLOSE(other(x), expected, 1e-4, 1e-5);
    auto bad = quant::prepare_qat(other, kExample, {.march = "nash"});
    CHECK(spread(test::parameter(bad, "stem.weight")) > 30 * spread(test::parameter(good, "stem.weight")));
    const double before = test::quantized_sqnr(bad, x);
    CHECK(before < 12);
    quant::equalize(bad);
    CHECK_CLOSE(test::float_output(bad, x), expected, 1e-4, 1e-5);
    const double after = test::quantized_sqnr(bad, x);
    CHECK(after > before + 15);
    CHECK(after > test::quantized_sqnr(good, x) - 3);
  }
}

}  // namespace

TEST_CASE("a hostile residual network is the same function, useless in integers, and equalisation recovers it") {
  check_hostile(test::small_net());
}

TEST_CASE("a hostile chain of every kind of convolution likewise") {
  check_hostile(test::randomized(test::ChainNet{}));
}

TEST_CASE("hostile inverted residuals likewise") { check_hostile(test::randomized(test::InvertedNet{})); }

TEST_CASE("hostile ResNet-20 likewise") { check_hostile(test::randomized(nn::resnet20({.channels = 4}))); }

TEST_CASE("hostile factors spread over the decades asked for, and outputs and inputs keep theirs") {
  test::ChainNet model = test::randomized(test::ChainNet{}), other = model;
  examples::make_hostile(other, kExample, {.decades = 2});
  const auto before = model.named_state(), after = other.named_state();
  double least = INFINITY, most = 0;
  for (size_t i = 0; i < before.size(); ++i) {
    CAPTURE(before[i].name);
    const Tensor &a = before[i].value, &b = after[i].value;
    const std::string& name = before[i].name;
    if (name == "stem.weight" || name == "bn.running_mean" || name == "bn.running_var" || name == "head.bias")
      CHECK_SAME(b, a);
    if (name != "bn.weight" && name != "hidden.bias") continue;
    for (int64_t c = 0; c < a.elements(); ++c) {
      const double factor = b.data<float>()[c] / a.data<float>()[c];
      least = std::min(least, factor);
      most = std::max(most, factor);
    }
  }
  CHECK(least > 0.0999);
  CHECK(least < 0.3);
  CHECK(most < 10.001);
  CHECK(most > 3);
}

TEST_CASE("networks with ReLU6 stay as they are around it") {
  test::EveryLayer model = test::randomized(test::EveryLayer{}), other = model;
  examples::make_hostile(other, kExample);
  CHECK_SAME(other.stem.weight, model.stem.weight);
  CHECK_SAME(other.depthwise.weight, model.depthwise.weight);
  CHECK_SAME(other.bn.weight, model.bn.weight);
  CHECK(test::difference(other.hidden.weight, model.hidden.weight) != "");
  const Tensor x = test::images({2, 8, 8, 3});
  CHECK_CLOSE(other(x).detach(), model(x).detach(), 1e-4, 1e-5);
}
