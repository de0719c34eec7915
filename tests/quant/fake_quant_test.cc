#include "../../quant/fake_quant.h"

#include <algorithm>
#include <cmath>

#include "../../core/ops/cross_entropy.h"
#include "../../nn/fit.h"
#include "fake_quant/through.h"
#include "float_qat.h"

using namespace sinter;
using namespace sinter::quant;
using test::images;

namespace {

const Tensor kExample = Tensor::zeros({1, 4, 4, 3});

struct Net : nn::Module {
  nn::Conv2d conv1{{.in = 3, .out = 6, .kernel = 3, .padding = 1}},
      conv2{{.in = 6, .out = 6, .kernel = 3, .padding = 1}};
  nn::Linear head{{.in = 96, .out = 4}};
  SINTER_CHILDREN(conv1, conv2, head)
  Tensor forward(const Tensor& x) const override { return head(flatten(conv2(relu(conv1(x))))); }
};

QConfig qconfig(const std::string& fake_quant, const std::string& dtype = "int8") {
  return get_default_qconfig({.activation_fake_quant = fake_quant,
                              .weight_fake_quant = fake_quant,
                              .activation_qkwargs = {{"dtype", dtype}},
                              .weight_qkwargs = {{"dtype", dtype}}});
}

// A user's: the learned number is the width of the whole range.
struct Width final : FakeQuantize {
  double first = 1;
  std::string_view learned() const override { return "width"; }
  double start(const LearnedStart& from) const override {
    return from.scale ? static_cast<double>(*from.scale) * (from.bounds.high - from.bounds.low) : first;
  }
  float scale(float width, const Bounds& bounds) const override {
    return width / static_cast<float>(bounds.high - bounds.low);
  }
  void slopes(const float* v, int64_t count, const Bounds& bounds, Rounding rounding, float* out) const override {
    for (int64_t i = 0; i < count; ++i) {
      const double wide = v[i], near = round_as(rounding, std::clamp(wide, bounds.low - 1.0, bounds.high + 1.0));
      const double slope = near < bounds.low ? bounds.low : near > bounds.high ? bounds.high : near - wide;
      out[i] = static_cast<float>(slope / (bounds.high - bounds.low));
    }
  }
  std::optional<double> averaging_constant() const override { return 0.5; }
  void validate() const override { check(first > 0, "width: first is ", first, ", expected positive"); }
};
const Registered<Width> width("width", {{"first", &Width::first}});

// A user's that learns nothing: fewer integers.
struct Half final : FakeQuantize {
  Bounds bounds(const Bounds& type) const override { return {type.low / 2, type.high / 2}; }
};
const Registered<Half> half("half");

// Cross-entropy by a plain loop of steps.
double step(PreparedModel& model, optim::AnyOptimizer& optimizer, const Tensor& x) {
  Tensor labels = Tensor::zeros({x.size(0)}, DType::int64);
  for (int64_t i = 0; i < x.size(0); ++i) labels.mutable_data<int64_t>()[i] = i % 4;
  const Tensor loss = cross_entropy(model(x), labels);
  optim::zero_grad(model.parameters());
  loss.backward();
  optimizer->step(model.parameters());
  return loss.at({});
}

std::vector<float> all_scales(const PreparedModel& model) {
  std::vector<float> all;
  for (const ActivationQuantizer* quantizer : model.quantizers()) all.push_back(quantizer->scale(model.march()));
  for (size_t i = 0; i < model.graph().nodes.size(); ++i)
    if (const WeightQuantizer* weights = model.weight_quantizer(i))
      for (const float scale :
           weights->scales(model.march(),
                           model.graph().parameters[static_cast<size_t>(model.graph().nodes[i].inputs[1].index)].value))
        all.push_back(scale);
  return all;
}

Tensor find(const PreparedModel& model, const std::string& name) {
  for (const auto& parameter : model.parameters())
    if (parameter.name == name) return parameter.value.tensor();
  FAIL("no parameter " << name);
  return {};
}

}  // namespace

TEST_CASE("learned scales have the values and gradients of a float network with fake quantisation") {
  const Tensor x = images({3, 4, 4, 3}, 21, 1.2);
  for (const bool pact : {false, true})
    for (const int bits : {8, 4, 2}) {
      CAPTURE(pact);
      CAPTURE(bits);
      PreparedModel model =
          prepare_qat(test::randomized(Net{}, 2), kExample,
                      {.qconfig = qconfig(pact ? "pact" : "lsq", text("int", bits)), .march = test::kExact});
      set_fake_quantize(model, FakeQuantState::calibration);
      model(x);
      set_fake_quantize(model, FakeQuantState::qat);
      model(x);  // in training: what is learned starts
      model.eval();
      int learned = 0;
      for (const auto& parameter : model.parameters()) {
        if (!parameter.name.ends_with(".scale") && !parameter.name.ends_with(".alpha")) continue;
        ++learned;
        // Something clips everywhere; what follows a layer that clips is smaller.
        Tensor value = parameter.value.tensor();
        const float factor = !pact ? 0.45f : parameter.name.starts_with("conv") ? 0.12f : 0.25f;
        for (int64_t o = 0; o < value.elements(); ++o)
          value.mutable_data<float>()[o] *= factor + 0.03f * static_cast<float>(o);
      }
      CHECK(learned == 6);
      test::check_against_float(model, x);
    }
}

TEST_CASE("scales stay positive, whatever the learning rate") {
  const Tensor x = images({4, 5, 5, 3}, 3), w = images({4, 3, 3, 3}, 4);
  int clamped = 0;
  for (const std::string fake_quant : {"lsq", "pact"})
    for (const std::string dtype : {"int8", "int4", "int2"})
      for (const bool up : {false, true}) {
        CAPTURE(fake_quant);
        CAPTURE(dtype);
        const TensorConfig config = test::fake_quant_config(fake_quant, dtype);
        const ActivationQuantizer activation("x", config);
        const WeightQuantizer weights("w", config, 4);
        std::vector<NamedParameter> learned;
        learned.push_back({"x", activation.learned.share()});
        learned.push_back({"w", weights.learned.share()});
        optim::AnyOptimizer optimizer = optim::SGD{{.lr = 1e6}};
        Random random(5);
        for (int i = 0; i < 8; ++i) {
          activation.train(Samples(x));
          weights.train(w);
          const auto of = [&](const Tensor& t) {
            return Tensor::uniform(t.shape(), random, up ? -1 : -0.01, up ? 0.01 : 1);
          };
          Tensor number = activation.learned.tensor(), numbers = weights.learned.tensor();
          const auto of_x = test::fake_quantized(activation, x, of(x));
          const auto of_w = test::fake_quantized(weights, w, of(w));
          for (const float v : of_x.y.values<float>()) CHECK(std::isfinite(v));
          for (const float v : of_w.y.values<float>()) CHECK(std::isfinite(v));
          number.set_grad(of_x.dlearned);
          numbers.set_grad(of_w.dlearned);
          optimizer->step(learned);
          CHECK(number.at({0}) >= kMinScale);
          for (const float v : numbers.values<float>()) CHECK(v >= kMinScale);
          std::vector<float> scales = weights.scales(March::bayes, w);
          scales.push_back(activation.scale(March::bayes));
          for (const float scale : scales) {
            CHECK(scale >= kMinScale);
            CHECK(std::isfinite(scale));
            clamped += scale == kMinScale;
          }
        }
      }
  CHECK(clamped > 20);
}

TEST_CASE("scales so far apart that no multiplier reaches them are an error that names the layer") {
  PreparedModel model =
      prepare_qat(test::randomized(Net{}, 3), kExample, {.qconfig = qconfig("lsq"), .march = March::nash});
  const Tensor x = images({8, 4, 4, 3});
  model(x);
  Tensor scales = find(model, "conv2.weight.scale");
  scales.mutable_data<float>()[3] = 1e7f;
  CHECK_ERROR(model(x), "conv2: no 15-bit multiplier reaches the ratio");
}

TEST_CASE("of an optimiser's weight decay alpha has its share, LSQ's scales have none") {
  const optim::SGD optimizer{{.lr = 0.1, .weight_decay = 0.25}};
  for (const std::string fake_quant : {"lsq", "pact"}) {
    const PreparedModel model = prepare_qat(test::randomized(Net{}, 3), kExample, {.qconfig = qconfig(fake_quant)});
    const PreparedModel copy = model;
    int learned = 0;
    for (const PreparedModel* m : {&model, &copy})
      for (const auto& parameter : m->parameters()) {
        CAPTURE(parameter.name);
        const bool scale = parameter.name.ends_with(".scale");
        CHECK(optimizer.settings(parameter).second == (scale ? 0.0 : 0.25));
        learned += scale || parameter.name.ends_with(".alpha");
      }
    CHECK(learned == 12);
    // A rule of the user's comes first.
    const optim::SGD decaying{{.lr = 0.1, .rules = {{.match = "*.scale", .weight_decay = 0.125}}}};
    for (const auto& parameter : model.parameters())
      if (parameter.name.ends_with(".scale")) CHECK(decaying.settings(parameter).second == 0.125);
  }
  // In a step: with a rate of 1 and nothing clipped alpha has no gradient but its decay.
  PreparedModel model = prepare_qat(test::randomized(Net{}, 3), kExample, {.qconfig = qconfig("pact")});
  const Tensor x = images({4, 4, 4, 3}, 1, 0.5);
  model(x);
  const Tensor alpha = find(model, "input.activation.alpha");
  CHECK(alpha.at({0}) == 6);
  optim::AnyOptimizer sgd = optim::SGD{{.lr = 0.5, .momentum = 0, .weight_decay = 0.25}};
  step(model, sgd, x);
  CHECK(alpha.at({0}) == 6 - 0.5 * 0.25 * 6);
}

TEST_CASE("what is learned starts from the calibration where nothing is observed in training, too") {
  Tensor pixels = Tensor::empty({8, 4, 4, 3}, DType::uint8);
  for (int64_t i = 0; i < pixels.elements(); ++i)
    pixels.mutable_data<uint8_t>()[i] = static_cast<uint8_t>(i * 37 % 256);
  const data::ImageDataset data(pixels, Tensor::zeros({8}, DType::int64), {.mean = {0.5}, .std = {0.5}});
  for (const std::string fake_quant : {"lsq", "pact"}) {
    CAPTURE(fake_quant);
    PreparedModel model = prepare_qat(test::randomized(Net{}, 4), kExample, {.qconfig = qconfig(fake_quant)});
    set_fake_quantize(model, FakeQuantState::calibration);
    model(images({8, 4, 4, 3}, 3));
    set_fake_quantize(model, FakeQuantState::qat);
    const std::vector<float> before = all_scales(model);
    PreparedModel in_eval = model;
    // A step moves them a little from where they were: it does not start them near 0.
    nn::fit(model, data,
            {.batch = 8, .optimizer = optim::SGD{{.lr = 1e-4}}, .progress = false, .freeze_observers_after = 0});
    const std::vector<float> after = all_scales(model);
    for (size_t i = 0; i < before.size(); ++i) CHECK(after[i] == doctest::Approx(before[i]).epsilon(0.05));
    CHECK(after != before);
    CHECK(model.quantizers()[0]->batches() == 1);
    // In evaluation nothing starts, and what has not started has no gradient.
    in_eval.eval();
    const Tensor y = in_eval(images({2, 4, 4, 3}));
    y.backward(Tensor::ones(y.shape()));
    for (const auto& parameter : in_eval.parameters())
      if (parameter.name.ends_with(".scale") || parameter.name.ends_with(".alpha")) {
        CHECK_FALSE(parameter.value.tensor().grad().defined());
        CHECK_SAME(parameter.value.tensor(), Tensor::zeros(parameter.value.tensor().shape()));
      }
    CHECK(all_scales(in_eval) == before);
  }
}

TEST_CASE("frozen scales stay where they are, and so do learned ones") {
  for (const std::string fake_quant : {"lsq", "pact"}) {
    PreparedModel model = prepare_qat(test::randomized(Net{}, 4), kExample, {.qconfig = qconfig(fake_quant)});
    model(images({8, 4, 4, 3}, 3));
    const std::vector<float> before = all_scales(model);
    const nn::Freezing freezing({.scales = true});
    optim::AnyOptimizer optimizer = optim::SGD{{.lr = 0.1}};
    const Tensor weight = find(model, "conv1.weight").clone();
    step(model, optimizer, images({4, 4, 4, 3}, 5));
    CHECK(all_scales(model) == before);
    CHECK_FALSE(test::difference(find(model, "conv1.weight"), weight, 0, 0).empty());
  }
}

TEST_CASE("a user's fake-quant is found by its name, learns, is saved and decides the integers") {
  const auto config = [](const Keywords& keywords) {
    return get_default_qconfig(
        {.activation_fake_quant = "width", .weight_fake_quant = "width", .activation_qkwargs = keywords});
  };
  const auto names = fake_quant_names();
  CHECK(std::count(names.begin(), names.end(), "width") == 1);
  CHECK(config({}).activation->averaging_constant == 0.5);
  CHECK_ERROR(config({{"first", -1}}), "width: first is -1, expected positive");
  CHECK_ERROR(
      config({{"last", 1}}),
      "keyword 'last' is unknown to width and observer min_max, expected one of: averaging_constant, dtype, first");

  PreparedModel model = prepare_qat(test::randomized(Net{}, 5), kExample, {.qconfig = config({{"first", 3}})});
  const Tensor x = images({8, 4, 4, 3}, 3, 1.4);
  optim::AnyOptimizer optimizer = optim::SGD{{.lr = 0.01}};
  const double first = step(model, optimizer, x);
  const Tensor width_of_input = find(model, "input.activation.width");
  CHECK(width_of_input.at({0}) == doctest::Approx(3).epsilon(0.01));
  CHECK(width_of_input.at({0}) != 3);
  CHECK(model.input_quantizer(0).scale(March::bayes) == width_of_input.at({0}) / 255);
  CHECK(find(model, "conv2.weight.width").shape() == Shape{6});
  double last = first;
  for (int i = 0; i < 10; ++i) last = step(model, optimizer, x);
  CHECK(last < first);

  // One that learns nothing: the observer's scale, but fewer integers.
  PreparedModel narrow =
      prepare_qat(test::randomized(Net{}, 5), kExample,
                  {.qconfig = get_default_qconfig({.activation_fake_quant = "half", .weight_fake_quant = "half"})});
  CHECK(narrow.parameters().size() == 6);
  narrow(x);
  CHECK(narrow.input_quantizer(0).scale(March::bayes) ==
        scale_from_range(narrow.input_quantizer(0).range().min, narrow.input_quantizer(0).range().max));
  int64_t reach = 0;
  narrow.inspect(x, [&](const std::string&, const Tensor& q) {
    if (q.dtype() != DType::int8) return;
    for (const int8_t v : q.values<int8_t>()) reach = std::max<int64_t>(reach, std::abs(static_cast<int>(v)));
  });
  CHECK(reach == 64);
}
