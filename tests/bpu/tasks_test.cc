// Networks of segmentation and detection: QAT, VALIDATION, simulator and witness.

#include "../../nn/models/detection.h"
#include "../../nn/models/detector.h"
#include "../../nn/models/unet.h"
#include "agreement.h"
#include "nets.h"

using namespace sinter;

namespace {

template <class Net>
std::vector<Tensor> agreed(const Net& net, const Tensor& x, const quant::PrepareOptions& options) {
  auto model = quant::prepare_qat(net, x, options);
  quant::set_fake_quantize(model, quant::FakeQuantState::calibration);
  model({x});
  model.eval();
  const auto results = test::check_agreement(model, std::vector<Tensor>{x});
  size_t heads = 0;
  for (size_t node = 0; node < model.graph().nodes.size(); ++node) heads += model.is_head(node);
  CHECK(heads == results.size());  // every output is of high precision
  return results;
}

const std::vector<quant::March> kMarches{quant::March::bernoulli, quant::March::bernoulli2, quant::March::bayes,
                                         quant::March::bayes_e, quant::March::nash};

}  // namespace

TEST_CASE("a U-Net has the same integers everywhere, on every march" * doctest::test_suite("exact")) {
  const test::OneThread one_thread;
  nn::UNet net({.classes = 5, .channels = {4, 8, 16}, .up = {"bilinear", "transposed"}});
  test::fill(net);
  const Tensor x = test::formula_images({2, 16, 12, 1});
  for (const quant::March& march : kMarches) {
    CAPTURE(march.name);
    for (const char* batch_norm : {"fuse_bn", "with_bn"}) {
      CAPTURE(batch_norm);
      CHECK(agreed(net, x, {.batch_norm = batch_norm, .march = march})[0].shape() == Shape{2, 16, 12, 5});
    }
  }
}

TEST_CASE("a detector's six outputs have the same integers everywhere, on every march" * doctest::test_suite("exact")) {
  const test::OneThread one_thread;
  nn::Detector net({.classes = 3, .channels = 4});
  test::fill(net);
  const Tensor x = test::formula_images({2, 16, 24, 1});
  for (const quant::March& march : kMarches) {
    CAPTURE(march.name);
    for (const char* batch_norm : {"fuse_bn", "with_bn"}) {
      CAPTURE(batch_norm);
      const auto results = agreed(net, x, {.batch_norm = batch_norm, .march = march});
      REQUIRE(results.size() == 6);
      CHECK(results[0].shape() == Shape{2, 4, 6, 3});
      CHECK(results[4].shape() == Shape{2, 2, 3, 4});
    }
  }
}
