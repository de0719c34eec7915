// Operations that stay float between integer ones, and outputs of high precision: QAT, VALIDATION, the simulator and
// the witness agree, and gradients flow.

#include "../../core/ops/softmax.h"
#include "../../nn/layers/softmax.h"
#include "../quant/float_qat.h"
#include "agreement.h"

using namespace sinter;
using namespace sinter::quant;
using test::check_agreement;
using test::images;

namespace {

const Tensor kExample = Tensor::zeros({1, 8, 8, 3});
const QConfig kHighPrecision = get_default_qconfig({.activation_fake_quant = none});

// Four convolutions, the third with a residual, a mean and a head.
struct Net : nn::Module {
  nn::Conv2d first{{.in = 3, .out = 6, .kernel = 3, .padding = 1}},
      second{{.in = 6, .out = 6, .kernel = 3, .padding = 1, .groups = 6}},
      third{{.in = 6, .out = 6, .kernel = 1, .bias = false}}, fourth{{.in = 6, .out = 8, .kernel = 1}};
  nn::BatchNorm2d bn{6};
  nn::Linear head{{.in = 8, .out = 4}};
  SINTER_CHILDREN(first, second, third, fourth, bn, head)
  Tensor forward(const Tensor& x) const override {
    const Tensor y = relu(first(x)), z = relu6(second(y));
    return head(mean(fourth(relu(bn(third(z)) + y)), {1, 2}));
  }
};

PreparedModel calibrated(const nn::Module& model, PrepareOptions options) {
  if (!options.march) options.march = March::bayes;
  PreparedModel result = prepare_qat(model, kExample, options);
  set_fake_quantize(result, FakeQuantState::calibration);
  for (uint64_t i = 0; i < 2; ++i) result(images({4, 8, 8, 3}, i));
  set_fake_quantize(result, FakeQuantState::qat);
  return result;
}

size_t node(const PreparedModel& model, const std::string& name) {
  return static_cast<size_t>(model.graph().find(name));
}

void check_gradients(PreparedModel& model) {
  model.train();
  const Tensor y = model(images({4, 8, 8, 3}, 5));
  y.backward(images(y.shape(), 6));
  for (const auto& parameter : model.parameters()) {
    CAPTURE(parameter.name);
    const Tensor gradient = parameter.value.tensor().grad();
    REQUIRE(gradient.defined());
    const auto values = gradient.values<float>();
    CHECK(std::any_of(values.begin(), values.end(), [](float v) { return v != 0; }));
    CHECK(std::all_of(values.begin(), values.end(), [](float v) { return std::isfinite(v); }));
  }
}

}  // namespace

TEST_CASE("a softmax that stays float gives probabilities of the head's accumulators") {
  struct Classifier : Net {
    nn::Softmax softmax;
    SINTER_CHILDREN(first, second, third, fourth, bn, head, softmax)
    Tensor forward(const Tensor& x) const override { return softmax(Net::forward(x)); }
  };
  const Tensor x = images({5, 8, 8, 3}, 3);
  for (const March& march : {March::bayes, March::bernoulli}) {
    PreparedModel model =
        calibrated(test::randomized(Classifier{}), {.by_type = {{"softmax", run_in_float()}}, .march = march});
    CHECK(model.in_float(node(model, "softmax")));
    CHECK(model.is_head(node(model, "head")));
    CHECK(model.node_quantizer(node(model, "softmax")) == nullptr);
    const Tensor y = check_agreement(model, x);
    for (int64_t i = 0; i < 5; ++i) {
      float sum = 0;
      for (int64_t c = 0; c < 4; ++c) sum += y.at({i, c});
      CHECK(sum == doctest::Approx(1));
    }
    check_gradients(model);
    // The same accumulators without it.
    PreparedModel logits = calibrated(test::randomized(Net{}), {.march = march});
    CHECK_CLOSE(y, softmax(check_agreement(logits, x)), 1e-6, 1e-6);
  }
  CHECK_ERROR(
      prepare_qat(Classifier{}, kExample),
      "prepare_qat: these layers cannot be quantised:\n  softmax: no integer form of softmax is known here; set "
      "it to float");
}

TEST_CASE("convolutions anywhere may stay float") {
  const Tensor x = images({3, 8, 8, 3}, 4);
  using Paths = std::vector<std::string>;
  for (const Paths& paths : {Paths{"first"},
                             {"second"},
                             {"third"},
                             {"fourth"},
                             {"head"},
                             {"first", "second"},
                             {"second", "third"},
                             {"fourth", "mean", "head"},
                             {"first", "fourth"},
                             {"mean"}})
    for (const std::string batch_norm : {"fuse_bn", "with_bn"}) {
      CAPTURE(paths[0]);
      CAPTURE(paths.back());
      CAPTURE(batch_norm);
      std::map<std::string, QConfig> by_path;
      for (const std::string& path : paths) by_path[path] = run_in_float();
      PreparedModel model =
          calibrated(test::randomized(Net{}, 2), {.by_path = by_path, .batch_norm = batch_norm, .march = March::bayes});
      for (const std::string& path : paths) CHECK(model.in_float(node(model, path)));
      check_agreement(model, x);
      check_gradients(model);
      check_agreement(model, x);
    }
}

TEST_CASE("everything may stay float: the program is the float network") {
  const Tensor x = images({3, 8, 8, 3}, 4);
  std::map<std::string, QConfig> all;
  for (const std::string type : {"conv2d", "linear", "mean"}) all[type] = run_in_float();
  PreparedModel model = calibrated(test::randomized(Net{}), {.by_type = all, .march = March::bayes});
  CHECK(model.quantizers().empty());
  const Tensor y = check_agreement(model, x);
  Net net = test::randomized(Net{});
  net.eval();
  CHECK_CLOSE(y, net(x).detach(), 1e-5, 1e-5);
}

TEST_CASE("operations of no integer form, and a normalisation of its own, may stay float in the middle") {
  struct Middle : nn::Module {
    nn::Conv2d first{{.in = 3, .out = 6, .kernel = 3, .padding = 1}}, last{{.in = 6, .out = 4, .kernel = 1}};
    nn::BatchNorm2d alone{6};
    SINTER_CHILDREN(first, last, alone)
    Tensor forward(const Tensor& x) const override {
      const Tensor y = relu(first(x));
      return mean(last(alone(y) * softmax(y)), {1, 2});
    }
  };
  PreparedModel model = calibrated(
      test::randomized(Middle{}),
      {.by_type = {{"softmax", run_in_float()}}, .by_path = {{"alone", run_in_float()}}, .march = March::bayes});
  CHECK_FALSE(model.node_quantizer(node(model, "softmax"))->range().min < 0);
  check_agreement(model, images({3, 8, 8, 3}, 4));
  check_gradients(model);
  check_agreement(model, images({3, 8, 8, 3}, 4));
}

TEST_CASE("what a float operation gives is given as it is, also where integers of it are read") {
  struct Outputs : nn::Module {
    nn::Conv2d first{{.in = 3, .out = 4, .kernel = 1}}, second{{.in = 4, .out = 4, .kernel = 1}};
    SINTER_CHILDREN(first, second)
    std::vector<Tensor> forward_all(std::span<const Tensor> x) const override {
      const Tensor y = first(x[0]);
      return {y, second(y), x[0]};
    }
  };
  const Tensor x = images({2, 4, 4, 3}, 1);
  const Specs specs{{DType::float32, {1, 4, 4, 3}}};
  for (const bool in_float : {true, false}) {
    PrepareOptions options{.march = March::bayes};
    if (in_float) options.by_path = {{"first", run_in_float()}};
    PreparedModel model(test::randomized(Outputs{}), specs, options);
    set_fake_quantize(model, FakeQuantState::calibration);
    const auto real = model({x});
    const std::vector<Tensor> y = check_agreement(model, std::vector<Tensor>{x});
    CHECK(test::difference(y[0], real[0].detach(), 0, 0).empty() == in_float);
    CHECK(test::difference(y[2], x, 0, 0).empty() == in_float);
    CHECK_CLOSE(y[0], real[0].detach(), 0, 0.02);
    CHECK_CLOSE(y[2], x, 0, 0.01);
  }
}

TEST_CASE("float regions have the gradients of a float network") {
  for (const std::string path : {"first", "second", "third", "fourth"}) {
    CAPTURE(path);
    PreparedModel model =
        calibrated(test::randomized(Net{}, 3), {.by_path = {{path, run_in_float()}}, .march = test::kExact});
    model.eval();
    test::check_against_float(model, images({4, 8, 8, 3}, 7));
  }
}

TEST_CASE("a convolution before a float operation is of high precision where it is asked to be") {
  struct Attention : nn::Module {
    nn::Conv2d first{{.in = 3, .out = 4, .kernel = 1}}, second{{.in = 4, .out = 4, .kernel = 1}},
        last{{.in = 4, .out = 4, .kernel = 1}};
    SINTER_CHILDREN(first, second, last)
    Tensor forward(const Tensor& x) const override { return last(softmax(second(relu(first(x))))); }
  };
  const Tensor x = images({3, 8, 8, 3}, 4);
  for (const bool asked : {false, true}) {
    PrepareOptions options{.by_type = {{"softmax", run_in_float()}}, .march = March::bayes};
    if (asked) options.by_path = {{"second.activation", kHighPrecision}};
    PreparedModel model = calibrated(test::randomized(Attention{}, 4), options);
    CHECK(model.is_head(node(model, "second")) == asked);
    CHECK((model.node_quantizer(node(model, "second")) == nullptr) == asked);
    check_agreement(model, x);
    check_gradients(model);
    DType found = DType::float32;
    model.inspect(x, [&](const std::string& name, const Tensor& q) {
      if (name == "second") found = q.dtype();
    });
    CHECK(found == (asked ? DType::int32 : DType::int8));
  }
}

TEST_CASE("high precision is refused where there are no accumulators to be had, all at once") {
  const auto refused = [](const std::map<std::string, QConfig>& by_path, const std::string& expected) {
    CHECK_ERROR(prepare_qat(Net{}, kExample, {.by_path = by_path}), expected);
  };
  refused({{"first", kHighPrecision}},
          "prepare_qat: this qconfig does not fit the network:\n  first: cannot be of high precision, as a layer of "
          "integers reads it");
  refused({{"mean", kHighPrecision}}, "mean: cannot be of high precision, as a layer of integers reads it");
  refused({{"input", kHighPrecision}}, "input: is an input, which has no accumulators to be of high precision");
  refused(
      {{"first", kHighPrecision}, {"third", kHighPrecision}, {"input", kHighPrecision}},
      "\n  input: is an input, which has no accumulators to be of high precision; give its qconfig an activation "
      "(by_path)\n  first, third: cannot be of high precision, as a layer of integers reads it; give its qconfig an "
      "activation (by_path)");
  QConfig both = run_in_float(kHighPrecision);
  refused({{"second", both}}, "second: cannot be of high precision, as a layer of integers reads it");
  CHECK_ERROR(prepare_qat(Net{}, kExample, {.by_type = {{"conv2d", kHighPrecision}}}),
              "fourth: cannot be of high precision");

  struct WithRelu : nn::Module {
    nn::Conv2d conv{{.in = 3, .out = 3, .kernel = 1}}, second{{.in = 3, .out = 3, .kernel = 1}};
    SINTER_CHILDREN(conv, second)
    Tensor forward(const Tensor& x) const override { return relu(second(conv(x)) + x); }
  };
  CHECK_ERROR(prepare_qat(WithRelu{}, kExample, {.by_path = {{"second", kHighPrecision}}}),
              "second: cannot be of high precision, as it is no convolution or linear layer without addition and "
              "activation");
}
