#include "../../quant/quantizer.h"

#include <limits>

#include "../support.h"

using namespace sinter;
using namespace sinter::quant;

namespace {

constexpr float kNan = std::numeric_limits<float>::quiet_NaN();

QuantizedWeights quantized(const Tensor& weight, const TensorConfig& config = {},
                           const Arithmetic& march = March::bayes) {
  return WeightQuantizer("conv", config, weight.size(0))
      .quantize(march, weight, Tensor::zeros({weight.size(0)}), 0.01f);
}

}  // namespace

TEST_CASE("weights per channel agree with PyTorch") {
  int cases = 0;
  for (const auto& c : test::golden("fake_quant")) {
    if (c.inputs[0].first != "w") continue;
    CAPTURE(c.name);
    ++cases;
    const Tensor& w = c.input("w");
    const QuantizedWeights q = quantized(w);
    CHECK_SAME(Tensor::from({w.size(0)}, q.scales), c.output("scales"));
    Tensor y = Tensor::empty(w.shape());
    const int64_t each = w.elements() / w.size(0);
    for (int64_t i = 0; i < w.elements(); ++i)
      y.mutable_data<float>()[i] =
          static_cast<float>(q.values.data<int8_t>()[i]) * q.scales[static_cast<size_t>(i / each)];
    CHECK_SAME(y, c.output("y"));
  }
  CHECK(cases == 2);
}

TEST_CASE("the gradient of min_max weights passes everywhere, as their maxima round to 128") {
  const QuantizedWeights q = quantized(Tensor::from({2, 2}, {1, -0.5f, -127.5f, 127.5f}));
  CHECK_FALSE(q.mask.defined());
  CHECK(q.values.at<int8_t>({0, 0}) == 127);
  CHECK(q.values.at<int8_t>({1, 0}) == -128);
  CHECK(q.values.at<int8_t>({1, 1}) == 127);
}

TEST_CASE("the gradient of clipped weights passes inside of the clip") {
  const auto qconfig =
      get_default_qconfig({.weight_observer = "percentile", .weight_qkwargs = {{"percentile", 50.0}, {"bins", 4}}});
  // Bins of width 1, clip 0.5: the scale is 1 / 255, so that 0.5 and 1 are beyond 127, -0.5 rounds to -128.
  const Tensor w = Tensor::from({1, 6}, {0.1f, -0.2f, 0.3f, 1, -0.5f, 4});
  const QuantizedWeights q = quantized(w, qconfig.weight);
  CHECK(q.scales[0] == 0.5f / 127.5f);
  CHECK_SAME(q.mask, Tensor::from<uint8_t>({1, 1}, {0b010111}));
  CHECK(q.values.at<int8_t>({0, 3}) == 127);
}

TEST_CASE("clipped weights per channel and their gradient agree with PyTorch") {
  int cases = 0;
  for (const auto& c : test::golden("fake_quant")) {
    if (c.inputs[0].first != "clipped") continue;
    CAPTURE(c.name);
    ++cases;
    const double clip = c.attribute<double>("clip");
    const auto qconfig =
        get_default_qconfig({.weight_observer = "clip", .weight_qkwargs = {{"min", -clip}, {"max", clip}}});
    const Tensor &w = c.input("clipped"), &dy = c.gradient("y");
    const QuantizedWeights q = quantized(w, qconfig.weight);
    CHECK_SAME(Tensor::from({w.size(0)}, q.scales), c.output("scales"));
    Tensor y = Tensor::empty(w.shape()), dw = Tensor::empty(w.shape());
    const int64_t each = w.elements() / w.size(0);
    for (int64_t i = 0; i < w.elements(); ++i) {
      const int64_t o = i / each, at = i % each;
      y.mutable_data<float>()[i] = static_cast<float>(q.values.data<int8_t>()[i]) * q.scales[static_cast<size_t>(o)];
      dw.mutable_data<float>()[i] =
          dy.data<float>()[i] * static_cast<float>(q.mask.at<uint8_t>({o, at / 8}) >> at % 8 & 1);
    }
    CHECK_SAME(y, c.output("y"));
    CHECK_SAME(dw, c.gradient("clipped"));
  }
  CHECK(cases == 2);
}

TEST_CASE("weight scales are on the march's grid, and weights round as it does") {
  const Tensor w = Tensor::from({2, 2}, {0.6f, 0.25f + 0.00390625f, 2, -2});
  const QuantizedWeights q = quantized(w, {}, Arithmetic(March::bernoulli, Rounding::half_up));
  CHECK(q.scales == std::vector<float>{0x1p-7f, 0x1p-5f});
  CHECK(q.values.at<int8_t>({0, 1}) == 33);  // 32.5
  CHECK(quantized(w, {}, March::bayes).scales[0] == 0.6f / 127.5f);
}

TEST_CASE("dead channels have the smallest scale; a bias on one raises it") {
  const QuantizedWeights q = WeightQuantizer("conv", {}, 2)
                                 .quantize(March::bayes, Tensor::zeros({2, 3}), Tensor::from({2}, {0, 100}), 0x1p-23f);
  CHECK(q.scales[0] == 0x1p-23f);
  CHECK(q.bias[0] == 0);
  CHECK(q.scales[1] == 100 * 0x1p-7f);
  CHECK(q.bias[1] == 1 << 30);
}

TEST_CASE("weights and biases that are not finite are errors that name them") {
  const auto of = [](float w, float b) {
    return WeightQuantizer("body.0.conv1", {}, 2)
        .quantize(March::bayes, Tensor::from({2, 1}, {1, w}), Tensor::from({2}, {0, b}), 0.1f);
  };
  CHECK_ERROR(of(kNan, 0), "body.0.conv1: weights of output channel 1: min_max: the tensor holds NaN");
  CHECK_ERROR(of(INFINITY, 0), "body.0.conv1: weights of output channel 1: min_max: the tensor holds an infinity");
  CHECK_ERROR(of(1, kNan), "body.0.conv1: weights of output channel 1: bias is nan");
  const QConfig lsq = get_default_qconfig({.weight_fake_quant = "lsq"});
  CHECK_ERROR(WeightQuantizer("body.0.conv1", lsq.weight, 2).train(Tensor::from({2, 1}, {1, INFINITY})),
              "body.0.conv1: weights of output channel 1: min_max: the tensor holds an infinity");
}

TEST_CASE("an activation's scale needs an observation") {
  const ActivationQuantizer quantizer("body.0.conv1", {});
  CHECK_FALSE(quantizer.observed());
  CHECK_ERROR(quantizer.scale(March::bayes), "body.0.conv1: its scale is used but nothing was observed; feed data");
  quantizer.observe(Samples(Tensor::from({2}, {-1, 3})));
  CHECK(quantizer.observed());
  CHECK(quantizer.scale(March::bayes) == 3.0f / 127.5f);
  CHECK(quantizer.scale(March::bernoulli) == 0x1p-5f);
}

TEST_CASE("the largest value of all is known, whatever the observer makes of it") {
  const ActivationQuantizer quantizer(
      "stem", *get_default_qconfig({.activation_observer = "clip", .activation_qkwargs = {{"max", 0.5}}}).activation);
  CHECK(quantizer.reach() == 0);
  quantizer.observe(Samples(Tensor::from({2}, {-7, 3})));
  quantizer.observe(Samples(Tensor::from({2}, {-1, 3})));
  CHECK(quantizer.reach() == 7);
  CHECK(quantizer.range().max == 0.5f);
}

TEST_CASE("what cannot be averaged is an error that names the tensor, and changes nothing") {
  const ActivationQuantizer quantizer("stem", {});
  quantizer.observe(Samples(Tensor::from({2}, {-1, 3})));
  CHECK_ERROR(quantizer.observe(Samples(Tensor::from({2}, {1, kNan}))), "stem: min_max: the tensor holds NaN");
  CHECK_ERROR(quantizer.observe(Samples(Tensor::from({2}, {1, INFINITY}))),
              "stem: min_max: the tensor holds an infinity");
  CHECK(quantizer.range().max == 3);
  CHECK(quantizer.batches() == 1);
}

TEST_CASE("altered counts of what was seen do not overflow") {
  const ActivationQuantizer quantizer("x", *get_default_qconfig().activation);
  for (const int64_t count : {std::numeric_limits<int64_t>::max(), std::numeric_limits<int64_t>::min()}) {
    Tensor seen = quantizer.seen_state.tensor();
    seen.copy_from(Tensor::from<int64_t>({2}, {count, count}));
    quantizer.observe(Samples(Tensor::ones({4})));
    CHECK(quantizer.batches() >= 1);
    CHECK(quantizer.batches() <= kMostCounted + 1);
  }
}

TEST_CASE("a copy of a quantiser goes on by itself") {
  const ActivationQuantizer first("x", {});
  first.observe(Samples(Tensor::from({1}, {1})));
  const ActivationQuantizer second = first;
  second.observe(Samples(Tensor::from({1}, {5})));
  CHECK(first.batches() == 1);
  CHECK(first.range().max == 1);
  CHECK(second.batches() == 2);
  CHECK(second.range().max > 1);
}
