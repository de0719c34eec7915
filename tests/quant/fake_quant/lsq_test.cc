#include "../../../quant/fake_quant/lsq.h"

#include <cmath>

#include "through.h"

using namespace sinter;
using namespace sinter::quant;
using test::fake_quant_config;
using test::fake_quantized;

namespace {

// The type of a golden case's integers without "u": where that is there, nothing is negative.
std::string signed_name(const std::string& dtype) { return dtype[0] == 'u' ? dtype.substr(1) : dtype; }

double start(const FakeQuantize& lsq, const std::string& dtype, bool weights, std::optional<float> scale) {
  const int bits = dtype == "int16" ? 16 : dtype == "int8" ? 8 : dtype == "int4" ? 4 : 2;
  return lsq.start(
      {.bounds = type_bounds(bits), .mean_abs = 0.75, .max_abs = 4, .scale = scale, .reach = 5, .weights = weights});
}

}  // namespace

TEST_CASE("lsq computes what PyTorch's learnable fake quantisation does, and its gradients") {
  int activations = 0, weights = 0;
  for (const auto& c : test::golden("lsq")) {
    CAPTURE(c.name);
    const auto dtype = c.attribute<std::string>("dtype");
    const TensorConfig config = fake_quant_config("lsq", signed_name(dtype), {{"use_grad_scaling", false}});
    const Tensor &x = c.input("x"), &scale = c.input("scale"), &dy = c.gradient("y");
    test::FakeQuantized found;
    if (scale.elements() == 1) {
      const ActivationQuantizer quantizer("x", config, dtype[0] != 'u');
      Tensor number = quantizer.learned.tensor();
      number.copy_from(scale);
      found = fake_quantized(quantizer, x, dy);
      ++activations;
    } else {
      const WeightQuantizer quantizer("w", config, x.size(0));
      Tensor number = quantizer.learned.tensor();
      number.copy_from(scale);
      found = fake_quantized(quantizer, x, dy);
      ++weights;
    }
    CHECK_CLOSE(found.y, c.output("y"), 1e-6, 0);
    CHECK_CLOSE(found.dx, c.gradient("x"), 1e-7, 0);
    CHECK_CLOSE(found.dlearned, c.gradient("scale"), 1e-5, 1e-5);
  }
  CHECK(activations == 11);
  CHECK(weights == 6);
}

TEST_CASE("the gradient of a scale is multiplied by 1 / sqrt(N qmax), N the elements of one scale") {
  // Of one image, for activations.
  const Tensor x = test::normal({4, 3, 5, 2}, 3), dy = test::normal({4, 3, 5, 2}, 4);
  const Tensor w = test::normal({3, 2, 2, 5}, 5), dw = test::normal({3, 2, 2, 5}, 6);
  for (const auto& [dtype, qmax] : std::vector<std::pair<std::string, double>>{{"int8", 127}, {"int4", 7}}) {
    std::vector<test::FakeQuantized> of_x, of_w;
    for (const bool scaled : {false, true}) {
      const TensorConfig config = fake_quant_config("lsq", dtype, {{"use_grad_scaling", scaled}});
      const ActivationQuantizer activation("x", config);
      Tensor number = activation.learned.tensor();
      number.copy_from(Tensor::full({1}, 0.1f));
      of_x.push_back(fake_quantized(activation, x, dy));
      const WeightQuantizer weights("w", config, 3);
      Tensor numbers = weights.learned.tensor();
      numbers.copy_from(Tensor::full({3}, 0.1f));
      of_w.push_back(fake_quantized(weights, w, dw));
    }
    CHECK(of_x[1].dlearned.at({0}) ==
          doctest::Approx(of_x[0].dlearned.at({0}) / std::sqrt(3 * 5 * 2 * qmax)).epsilon(1e-6));
    for (const int64_t o : {0, 1, 2})
      CHECK(of_w[1].dlearned.at({o}) ==
            doctest::Approx(of_w[0].dlearned.at({o}) / std::sqrt(2 * 2 * 5 * qmax)).epsilon(1e-6));
    CHECK_SAME(of_x[1].dx, of_x[0].dx);
    CHECK_SAME(of_w[1].dx, of_w[0].dx);
  }
}

TEST_CASE("lsq starts at the calibrated scale; else at 2 mean / sqrt(qmax) or, from 8 bits on, where the range says") {
  const Lsq lsq;
  for (const std::string dtype : {"int16", "int8", "int4", "int2"}) CHECK(start(lsq, dtype, false, 0.25f) == 0.25);
  CHECK(start(lsq, "int8", true, 0.25f) == 0.25);
  CHECK(start(lsq, "int4", true, 0.25f) == doctest::Approx(1.5 / std::sqrt(7.0)));
  CHECK(start(lsq, "int2", true, 0.25f) == doctest::Approx(1.5));
  CHECK(start(lsq, "int4", false, std::nullopt) == doctest::Approx(1.5 / std::sqrt(7.0)));
  CHECK(start(lsq, "int8", false, std::nullopt) == 4 / 127.5f);
  CHECK(start(lsq, "int16", false, std::nullopt) == 4 / 32767.5f);
  CHECK(lsq.start({.bounds = type_bounds(8)}) == kMinScale);
}

TEST_CASE("activations that were not calibrated start from the first batch of training") {
  const Tensor x = Tensor::from({4}, {-1, 3, 0.5f, -1.5f});
  const ActivationQuantizer quantizer("x", fake_quant_config("lsq", "int4"));
  CHECK_FALSE(quantizer.observed());
  const ActivationQuantizer unobserved = quantizer;
  unobserved.train(Samples(x), false);
  CHECK(unobserved.learned.tensor().at({0}) == doctest::Approx(2 * 1.5 / std::sqrt(7.0)));
  CHECK(unobserved.batches() == 0);
  CHECK(unobserved.observed());
  quantizer.train(Samples(x));
  CHECK(quantizer.learned.tensor().at({0}) == doctest::Approx(2 * 1.5 / std::sqrt(7.0)));
  CHECK(quantizer.batches() == 1);
  quantizer.train(Samples(Tensor::full({4}, 9)));
  CHECK(quantizer.learned.tensor().at({0}) == doctest::Approx(2 * 1.5 / std::sqrt(7.0)));
  CHECK(quantizer.batches() == 1);
  // Calibrating again starts anew.
  quantizer.observe(Samples(Tensor::full({4}, 7.5f)));
  CHECK(quantizer.learned.tensor().at({0}) == 0);
  quantizer.train(Samples(x));
  CHECK(quantizer.learned.tensor().at({0}) == 1);  // averaging constant 1: 7.5 / 7.5
}

TEST_CASE("at 8 bits the first batch of training starts the scale where min_max would have it") {
  const ActivationQuantizer quantizer("x", fake_quant_config("lsq", "int8"));
  quantizer.train(Samples(Tensor::from({4}, {-1, 3, 0.5f, -1.5f})));
  CHECK(quantizer.scale(March::bayes) == 3 / 127.5f);
}

TEST_CASE("zeros start no learned scale; the first values that are there do") {
  const ActivationQuantizer quantizer("x", fake_quant_config("lsq", "int8"));
  for (int i = 0; i < 2; ++i) quantizer.train(Samples(Tensor::zeros({4})));
  CHECK(quantizer.dead());
  CHECK(quantizer.scale(March::bayes, 0.25f) == 0.25f);
  quantizer.train(Samples(Tensor::from({2}, {0, 3})));
  CHECK_FALSE(quantizer.dead());
  CHECK(quantizer.scale(March::bayes, 0.25f) == 3 / 127.5f);
}

TEST_CASE("a calibrated scale is used before training, and is where it starts, observed or not") {
  for (const bool observes : {true, false}) {
    const ActivationQuantizer quantizer("x", fake_quant_config("lsq", "int8"));
    quantizer.observe(Samples(Tensor::from({2}, {-2, 1})));
    const float scale = quantizer.scale(March::bayes);
    CHECK(scale == 2 / 127.5f);
    CHECK(quantizer.scale(March::bernoulli) == 0x1p-5f);
    quantizer.train(Samples(Tensor::full({3}, 5)), observes);
    CHECK(quantizer.learned.tensor().at({0}) == scale);
    CHECK(quantizer.scale(March::bayes) == scale);
    CHECK(quantizer.batches() == 1);
  }
}

TEST_CASE("a learned scale may start at a fixed one, which has to be on the grid") {
  const auto fixed = [](double scale) {
    return get_default_qconfig({.activation_fake_quant = "lsq",
                                .weight_fake_quant = "lsq",
                                .activation_observer = "fixed_scale",
                                .weight_observer = "fixed_scale",
                                .activation_qkwargs = {{"scale", scale}},
                                .weight_qkwargs = {{"scale", scale}}});
  };
  const Tensor w = Tensor::from({1, 3}, {-1, 3, 0.5f});
  const ActivationQuantizer activation("x", *fixed(0.3).activation);
  CHECK(activation.observed());
  CHECK(activation.scale(March::bayes) == 0.3f);
  activation.train(Samples(w));
  CHECK(activation.learned.tensor().at({0}) == 0.3f);
  CHECK_ERROR(activation.scale(March::bernoulli), "x: the fixed scale 0.3 is not on the grid of bernoulli");
  const WeightQuantizer weights("w", fixed(0.3).weight, 1);
  CHECK(weights.scales(March::bayes, w) == std::vector<float>{0.3f});
  CHECK_ERROR(weights.scales(March::bernoulli, w), "the fixed scale 0.3 is not on the grid of bernoulli");
}

TEST_CASE("weights start channel by channel") {
  const Tensor w = Tensor::from({3, 4}, {-1, 3, 0.5f, -1.5f, 0, 0, 0, 0, 0.1f, 0.1f, 0.1f, 0.1f});
  const WeightQuantizer wide("w", fake_quant_config("lsq", "int8"), 3),
      narrow("w", fake_quant_config("lsq", "int4"), 3);
  for (const bool trained : {false, true}) {
    CHECK(wide.scales(March::bayes, w)[0] == 3 / 127.5f);
    CHECK(narrow.scales(March::bayes, w)[0] == doctest::Approx(3 / std::sqrt(7.0)));
    CHECK(narrow.scales(March::bayes, w)[1] == kMinScale);
    CHECK(narrow.scales(March::bayes, w)[2] == doctest::Approx(0.2 / std::sqrt(7.0)));
    CHECK((narrow.learned.tensor().at({2}) != 0) == trained);
    wide.train(w);
    narrow.train(w);
  }
  // From then on whatever the weights are.
  CHECK(wide.scales(March::bayes, Tensor::full({3, 4}, 50))[0] == 3 / 127.5f);
}

TEST_CASE("a learned scale that is negative or tiny is used as the smallest there is, and no step goes below") {
  for (const float number : {-3.0f, 1e-30f}) {
    const ActivationQuantizer activation("x", fake_quant_config("lsq", "int8"));
    Tensor learned = activation.learned.tensor();
    learned.copy_from(Tensor::full({1}, number));
    CHECK(activation.scale(March::bayes) == kMinScale);
    CHECK(activation.learned.minimum() == kMinScale);
    const WeightQuantizer weights("w", fake_quant_config("lsq", "int8"), 2);
    const Tensor w = Tensor::ones({2, 3});
    Tensor numbers = weights.learned.tensor();
    numbers.copy_from(Tensor::from({2}, {number, 0.5f}));
    CHECK(weights.scales(March::bayes, w) == std::vector<float>{kMinScale, 0.5f});
    CHECK(weights.learned.minimum() == kMinScale);
  }
  const ActivationQuantizer activation("x", fake_quant_config("lsq", "int8"));
  Tensor learned = activation.learned.tensor();
  learned.copy_from(Tensor::full({1}, INFINITY));
  CHECK_ERROR(activation.scale(March::bayes), "x: its learned scale is inf: training has diverged");
}

TEST_CASE("lsq's presets: gradient scaling on, averaging constant 1, no weight decay") {
  const TensorConfig config = fake_quant_config("lsq", "int8");
  CHECK(config.averaging_constant == 1);
  CHECK(fake_quant_config("lsq", "int8", {{"averaging_constant", 0.1}}).averaging_constant == 0.1);
  const auto method = config.make_fake_quant();
  CHECK(method->gradient_scale(100, type_bounds(8)) == doctest::Approx(1 / std::sqrt(12700.0)));
  CHECK(method->weight_decay() == 0.0);
  CHECK(method->learned() == "scale");
  CHECK_FALSE(method->strictly_inside());
}
