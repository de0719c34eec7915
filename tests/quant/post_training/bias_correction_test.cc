#include "../../../quant/post_training/bias_correction.h"

#include "../../../quant/post_training/adaround.h"
#include "../analysis/stages.h"
#include "networks.h"

using namespace sinter;
using namespace sinter::quant;
using test::float_output;
using test::parameter;

namespace {

const Tensor kExample = Tensor::zeros({1, 8, 8, 3});
using Names = std::vector<std::string>;

data::ImageDataset dataset(int64_t count, uint64_t seed = 3) {
  Random random(seed);
  Tensor pixels = Tensor::empty({count, 8, 8, 3}, DType::uint8), labels = Tensor::zeros({count}, DType::int64);
  for (int64_t i = 0; i < pixels.elements(); ++i)
    pixels.mutable_data<uint8_t>()[i] = static_cast<uint8_t>(random.below(256));
  return {pixels, labels};
}

Tensor all_images(const data::Dataset& dataset) {
  Tensor images = Tensor::empty({dataset.size(), 8, 8, 3});
  for (int64_t i = 0; i < dataset.size(); ++i)
    dataset.read(i, std::span<float>(images.mutable_data<float>() + i * 192, 192));
  return images;
}

PreparedModel calibrated(const nn::Module& model, const Tensor& images, const PrepareOptions& options = {}) {
  PreparedModel prepared = prepare_qat(model, kExample, options);
  const NoGrad no_grad;
  set_fake_quantize(prepared, FakeQuantState::calibration);
  prepared(images);
  set_fake_quantize(prepared, FakeQuantState::validation);
  return prepared;
}

// Means over all but the last axis.
std::vector<double> means(const Tensor& values) {
  const int64_t channels = values.size(values.rank() - 1);
  std::vector<double> sum(static_cast<size_t>(channels));
  for (int64_t i = 0; i < values.elements(); ++i) sum[static_cast<size_t>(i % channels)] += values.data<float>()[i];
  for (double& s : sum) s /= static_cast<double>(values.elements() / channels);
  return sum;
}

// The means of the quantised outputs are those of the float network, to half a unit of each channel's accumulator.
void check_means(const nn::Module& model, const PrepareOptions& options = {}) {
  const auto data = dataset(24);
  const Tensor x = all_images(data);
  PreparedModel prepared = calibrated(model, x, options);
  const auto expected = means(float_output(prepared, x)), before = means(prepared(x).detach());
  const auto report = correct_bias(prepared, data, {.batch = 10, .batches = 0});
  const auto after = means(prepared(x).detach());
  double worst_before = 0, worst_after = 0;
  for (size_t c = 0; c < expected.size(); ++c) {
    worst_before = std::max(worst_before, std::abs(before[c] - expected[c]));
    worst_after = std::max(worst_after, std::abs(after[c] - expected[c]));
  }
  CHECK(worst_before > 1e-3);
  CHECK(worst_after < 2e-4);
  Names layers, nodes;
  for (const CorrectedLayer& layer : report) layers.push_back(layer.name);
  for (const Node& node : prepared.graph().nodes)
    if (node.op->name() == "conv2d" || node.op->name() == "linear") nodes.push_back(node.name);
  CHECK(layers == nodes);
}

// One large weight a channel and many that round to zero, all of one sign: every output is too small.
struct Systematic : nn::Module {
  nn::Conv2d first{{.in = 3, .out = 4, .kernel = 3, .padding = 1}}, last{{.in = 4, .out = 2, .kernel = 3}};
  SINTER_CHILDREN(first, last)
  Systematic() {
    for (const nn::Conv2d* conv : {&first, &last}) {
      Tensor weight = conv->weight.tensor(), bias = conv->bias.tensor();
      const int64_t each = weight.elements() / weight.size(0);
      for (int64_t k = 0; k < weight.elements(); ++k) weight.mutable_data<float>()[k] = k % each == 4 ? 1.0f : 0.0035f;
      for (int64_t o = 0; o < weight.size(0); ++o) bias.mutable_data<float>()[o] = 0.01f * static_cast<float>(o);
    }
  }
  Tensor forward(const Tensor& x) const override { return last(relu(first(x))); }
};

}  // namespace

TEST_CASE("the shift of a layer is what plain loops find, before its activation") {
  const auto data = dataset(5);
  const Tensor x = all_images(data);
  Systematic model;
  for (float& b : std::span(model.first.bias.tensor().mutable_data<float>(), 4)) b -= 0.7f;  // the ReLU is at work
  PreparedModel prepared = calibrated(model, x);
  const auto report = correct_bias(prepared, data, {.batch = 2, .batches = 0});

  const float x_scale = prepared.input_quantizer(0).scale(prepared.march()), w_scale = 1 / 127.5f;
  const auto quantized = [](float v, float scale) {
    return double{scale} * std::clamp(std::nearbyint(double{v * (1 / scale)}), -128.0, 127.0);
  };
  const Tensor &weight = model.first.weight, corrected = parameter(prepared, "first.bias");
  double squares = 0, shifts = 0;
  for (int64_t o = 0; o < 4; ++o) {
    double error = 0;
    for (int64_t n = 0; n < 5; ++n)
      for (int64_t h = 0; h < 8; ++h)
        for (int64_t w = 0; w < 8; ++w) {
          double value = model.first.bias.tensor().at({o});
          for (int64_t kh = 0; kh < 3; ++kh)
            for (int64_t kw = 0; kw < 3; ++kw)
              for (int64_t c = 0; c < 3; ++c) {
                if (h + kh < 1 || h + kh > 8 || w + kw < 1 || w + kw > 8) continue;
                const float v = x.at({n, h + kh - 1, w + kw - 1, c}), k = weight.at({o, kh, kw, c});
                value += double{v} * k;
                error += quantized(v, x_scale) * quantized(k, w_scale) - double{v} * k;
              }
          squares += value * value;
        }
    error /= 5 * 64;
    CHECK(error < -0.02);
    CHECK(std::abs(model.first.bias.tensor().at({o}) - corrected.at({o}) - error) < 1e-5);
    shifts += error * error;
  }
  REQUIRE(report.size() == 2);
  CHECK(std::abs(report[0].shift - std::sqrt(shifts / 4)) < 1e-5);
  CHECK(std::abs(report[0].magnitude - std::sqrt(squares / (4 * 5 * 64))) < 1e-4);
}

TEST_CASE("after the correction, the outputs' means are those of the float network") {
  check_means(Systematic{});
  for (const March& march : {March::bernoulli, March::bayes}) {
    const PrepareOptions coarse{
        .qconfig = get_default_qconfig({.activation_observer = "clip_std", .activation_qkwargs = {{"std_scale", 1.5}}}),
        .march = march};
    check_means(test::small_net(), coarse);
    check_means(test::randomized(test::ChainNet{}), coarse);
    check_means(test::randomized(test::InvertedNet{}), coarse);
    check_means(test::randomized(test::EveryLayer{}), coarse);
  }
}

TEST_CASE("a network with a systematic error comes closer to its float outputs") {
  const auto data = dataset(16), fresh = dataset(16, 9);
  const Tensor x = all_images(fresh);
  PreparedModel prepared = calibrated(Systematic{}, all_images(data));
  const Tensor expected = float_output(prepared, x);
  const double before = test::sqnr(prepared(x).detach(), expected);
  correct_bias(prepared, data, {.batch = 16});
  CHECK(test::sqnr(prepared(x).detach(), expected) > before + 10);
}

TEST_CASE("layers beside a float region read its integers") {
  const auto data = dataset(16);
  const Tensor x = all_images(data);
  struct InputTwice : Systematic {
    nn::Conv2d second{{.in = 3, .out = 4, .kernel = 3, .padding = 1}};
    SINTER_CHILDREN(first, second, last)
    InputTwice() {
      second.weight.tensor().copy_from(first.weight);
      second.bias.tensor().copy_from(first.bias);
    }
    Tensor forward(const Tensor& image) const override { return last(relu(first(image)) + relu(second(image))); }
  };
  const auto check_shifts = [&](const nn::Module& model, const std::string& in_float, const Names& corrected) {
    PreparedModel prepared = calibrated(model, x, {.by_path = {{in_float, run_in_float()}}});
    const Tensor expected = float_output(prepared, x);
    const double before = test::sqnr(prepared(x).detach(), expected);
    Names names;
    for (const CorrectedLayer& layer : correct_bias(prepared, data, {.batches = 0})) {
      names.push_back(layer.name);
      CHECK(layer.shift < 0.15 * layer.magnitude);
    }
    CHECK(names == corrected);
    CHECK(test::sqnr(prepared(x).detach(), expected) > before + 6);
  };
  check_shifts(Systematic{}, "first", {"last"});
  check_shifts(InputTwice{}, "second", {"first", "last"});
}

TEST_CASE("images are drawn with the seed, as many as asked for; layers are shown in order") {
  const auto data = dataset(64);
  const auto corrected = [&](const CorrectBiasOptions& options) {
    PreparedModel prepared = calibrated(Systematic{}, all_images(data));
    correct_bias(prepared, data, options);
    return parameter(prepared, "last.bias");
  };
  Names seen;
  const Tensor one =
      corrected({.batch = 4, .batches = 2, .on_layer = [&](const std::string& name) { seen.push_back(name); }});
  CHECK(seen == Names{"first", "last"});
  CHECK_SAME(corrected({.batch = 4, .batches = 2}), one);
  CHECK(test::difference(corrected({.batch = 4, .batches = 2, .seed = 1}), one, 0, 0) != "");
  CHECK(test::difference(corrected({.batch = 4, .batches = 3}), one, 0, 0) != "");
}

TEST_CASE("a NaN in an image, or an exception halfway, leaves the biases as they were") {
  Tensor x = all_images(dataset(6));
  PreparedModel prepared = calibrated(Systematic{}, x);
  const Tensor first = parameter(prepared, "first.bias").clone(), last = parameter(prepared, "last.bias").clone();
  const auto check_unchanged = [&] {
    CHECK_SAME(parameter(prepared, "first.bias"), first);
    CHECK_SAME(parameter(prepared, "last.bias"), last);
  };
  const auto fails = [](const std::string& layer) { check(layer == "first", "enough"); };
  CHECK_ERROR(correct_bias(prepared, test::TensorDataset(x), {.on_layer = fails}), "enough");
  check_unchanged();
  x.mutable_data<float>()[200] = NAN;
  CHECK_ERROR(correct_bias(prepared, test::TensorDataset(x)),
              "correct_bias: first channel 0: the mean of its values is nan in float and ");
  check_unchanged();
}

TEST_CASE("what adaround rounded is refused") {
  const auto data = dataset(4);
  PreparedModel prepared = calibrated(Systematic{}, all_images(data));
  adaround(prepared, data, {.iterations = 1, .images = 2});
  const Tensor first = parameter(prepared, "first.bias").clone();
  CHECK_ERROR(correct_bias(prepared, data), "correct_bias: the weights of first have frozen scales, as adaround");
  CHECK_SAME(parameter(prepared, "first.bias"), first);
}

TEST_CASE("the report is a table") {
  const std::vector<CorrectedLayer> report{{"stem", 0.01234, 1.5}, {"head", 0, 20}};
  CHECK(to_string(report) ==
        "layer   shift  of values\n"
        "stem   0.0123        1.5\n"
        "head        0         20\n");
}

TEST_CASE("correct_bias wants a calibrated model") {
  PreparedModel prepared = prepare_qat(Systematic{}, kExample);
  CHECK_ERROR(correct_bias(prepared, dataset(2)), "correct_bias: nothing was observed for input, first");
}
