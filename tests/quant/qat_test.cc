// Gradients of quantisation-aware training, against PyTorch and against a float network with fake quantisation.

#include "../../core/parallel.h"
#include "float_qat.h"

using namespace sinter;
using namespace sinter::quant;
using test::check_against_float;
using test::images;
using test::kExact;
using test::set_ranges;

namespace {

const Tensor kExample = Tensor::zeros({1, 8, 8, 3});

}  // namespace

TEST_CASE("a QAT step has the values and gradients of PyTorch's fake quantisation") {
  struct Net : nn::Module {
    nn::Conv2d conv1{{.in = 3, .out = 6, .kernel = 3, .padding = 1}},
        conv2{{.in = 6, .out = 6, .kernel = 3, .padding = 1}};
    nn::Linear head{{.in = 6, .out = 4}};
    SINTER_CHILDREN(conv1, conv2, head)
    Tensor forward(const Tensor& x) const override {
      const Tensor y = relu(conv1(x));
      return head(mean(relu(conv2(y) + y), {1, 2}));
    }
  };
  for (const auto& c : test::golden("fake_quant")) {
    if (c.name != "network") continue;
    Net net;
    net.conv1.weight.tensor().copy_from(c.input("w1"));
    net.conv1.bias.tensor().copy_from(c.input("b1"));
    net.conv2.weight.tensor().copy_from(c.input("w2"));
    net.conv2.bias.tensor().copy_from(c.input("b2"));
    net.head.weight.tensor().copy_from(c.input("w3"));
    net.head.bias.tensor().copy_from(c.input("b3"));
    PreparedModel model = prepare_qat(net, c.input("x"), {.march = kExact});
    for (const ActivationQuantizer* quantizer : model.quantizers()) {
      const auto reach = static_cast<float>(c.attribute<double>(quantizer->name()));
      quantizer->observe(Samples(Tensor::from({2}, {-reach, reach})));
    }
    model.eval();
    Tensor x = c.input("x").clone();
    x.set_requires_grad(true);
    const Tensor y = model(x);
    CHECK_CLOSE(y, c.output("y"), 1e-5, 1e-5);
    y.backward(c.gradient("y"));
    CHECK_CLOSE(x.grad(), c.gradient("x"), 1e-4, 1e-5);
    const std::vector<std::pair<std::string, std::string>> names{{"conv1.weight", "w1"}, {"conv1.bias", "b1"},
                                                                 {"conv2.weight", "w2"}, {"conv2.bias", "b2"},
                                                                 {"head.weight", "w3"},  {"head.bias", "b3"}};
    for (const auto& parameter : model.parameters())
      for (const auto& name : names) {
        CAPTURE(name.first);
        if (parameter.name == name.first)
          CHECK_CLOSE(parameter.value.tensor().grad(), c.gradient(name.second), 1e-4, 1e-4);
      }
    CHECK(model.parameters().size() == names.size());
    return;
  }
  FAIL("no golden case");
}

TEST_CASE("a QAT step has the values and gradients of a float network with fake quantisation") {
  PreparedModel model = prepare_qat(test::small_net(), kExample, {.march = kExact});
  set_ranges(model, 1.3f);
  model.eval();
  check_against_float(model, images({2, 8, 8, 3}, 21, 1.2));
}

TEST_CASE("every kind of layer has its gradient in QAT") {
  PreparedModel model = prepare_qat(test::randomized(test::EveryLayer{}, 3), kExample, {.march = kExact});
  set_ranges(model, 2);
  model.eval();
  check_against_float(model, images({2, 8, 8, 3}, 22, 1.2));
}

TEST_CASE("linear layers of several tokens have their gradients in QAT, also of more weights than a cache holds") {
  struct Tokens : nn::Module {
    nn::Linear first{{.in = 8, .out = 12}}, second{{.in = 12, .out = 12}}, wide{{.in = 12, .out = 16400}},
        head{{.in = 16400, .out = 20}};
    SINTER_CHILDREN(first, second, wide, head)
    Tensor forward(const Tensor& x) const override {
      const Tensor y = relu(first(x));
      return head(relu(wide(second(y) + y)));
    }
  };
  for (const Shape& shape : {Shape{2, 5, 8}, Shape{2, 3, 2, 8}}) {
    PreparedModel model = prepare_qat(test::randomized(Tokens{}, 3), Specs{{DType::float32, shape}}, {.march = kExact});
    set_ranges(model, 2);
    model.eval();
    check_against_float(model, images(shape, 22, 1.2));
  }
}

TEST_CASE("QAT observes the values that it quantises, real and before any multiplier") {
  const PreparedModel model = prepare_qat(test::small_net(), kExample, {.march = March::bayes});
  const Tensor x = images({4, 8, 8, 3}, 23);
  const Tensor y = model(x);  // in training: the scales include this batch
  for (const ActivationQuantizer* quantizer : model.quantizers()) CHECK(quantizer->batches() == 1);
  CHECK(model.input_quantizer(0).range().min == Samples(x).range().min);
  CHECK(model.input_quantizer(0).range().max == Samples(x).range().max);
  // The same step in float, its activations compared by their ranges.
  CHECK_CLOSE(y, test::FloatQat(model)(x), 0.02, 0.02);
  // Each output's largest integer is at the end of its range.
  PreparedModel again = model;
  again.set_state(FakeQuantState::validation);
  again.inspect(x, [&](const std::string& node, const Tensor& q) {
    if (q.dtype() != DType::int8) return;
    const auto values = q.values<int8_t>();
    int most = 0;
    for (const int v : values) most = std::max(most, std::abs(v));
    CAPTURE(node);
    CHECK(most >= 127);
  });
}

TEST_CASE("a second batch moves the scales by half, or without warm-up by the averaging constant") {
  for (const bool warm_up : {true, false}) {
    const PreparedModel model = prepare_qat(
        test::small_net(), kExample,
        {.qconfig = get_default_qconfig({.activation_qkwargs = {{"averaging_constant", 0.25}, {"warm_up", warm_up}}}),
         .march = March::bayes});
    model(Tensor::full({1, 8, 8, 3}, 1));
    model(Tensor::full({1, 8, 8, 3}, 3));
    CHECK(model.input_quantizer(0).range().max == (warm_up ? 2.0f : 1.5f));
    CHECK(model.input_quantizer(0).batches() == 2);
    CHECK(model.input_quantizer(0).values() == 2 * 192);
  }
}

TEST_CASE("a QAT step of an empty batch has gradients of zero and observes nothing") {
  PreparedModel model = prepare_qat(test::small_net(), kExample, {.march = March::bayes});
  set_ranges(model);
  const int64_t batches = model.input_quantizer(0).batches();
  const Tensor y = model(Tensor::zeros({0, 8, 8, 3}));
  CHECK(y.shape() == Shape{0, 5});
  y.backward(Tensor::zeros({0, 5}));
  for (const auto& parameter : model.parameters())
    CHECK_SAME(parameter.value.tensor().grad(), Tensor::zeros(parameter.value.tensor().shape()));
  CHECK(model.input_quantizer(0).batches() == batches);
}

TEST_CASE("the forward pass of QAT does not depend on threads") {
  const Tensor x = images({8, 8, 8, 3}, 24);
  const int before = threads();
  std::vector<Tensor> outputs, ranges;
  for (const int count : {1, 2, 3}) {
    set_threads(count);
    const PreparedModel model = prepare_qat(test::small_net(), kExample, {.march = March::bayes});
    outputs.push_back(model(x).detach());
    Tensor all = Tensor::empty({static_cast<int64_t>(model.quantizers().size())});
    for (size_t i = 0; i < model.quantizers().size(); ++i)
      all.mutable_data<float>()[i] = model.quantizers()[i]->range().max;
    ranges.push_back(all);
    CHECK_SAME(outputs.back(), outputs.front());
    CHECK_SAME(ranges.back(), ranges.front());
  }
  set_threads(before);
}

TEST_CASE("a profiler sees a QAT step by the nodes of the prepared model, and what observes while it is calibrated") {
  PreparedModel model = prepare_qat(test::small_net(), kExample, {.march = March::bayes});
  const Tensor x = images({2, 8, 8, 3});
  {
    const Profiler profiler;
    const Tensor y = model(x);
    y.backward(Tensor::ones(y.shape()));
    const auto entries = test::entries_of(profiler);
    CHECK(entries.at("input").forward.calls == 1);
    for (const Node& node : model.graph().nodes) {
      CAPTURE(node.name);
      const Profiler::Entry& entry = entries.at(node.name);
      CHECK(entry.forward.calls == 1);
      CHECK(entry.backward.calls == 1);
      Specs batch;
      for (const Operand& operand : node.inputs) {
        batch.push_back(model.graph().spec(operand));
        if (operand.is_activation()) batch.back().shape = batch.back().shape.with(0, 2);
      }
      CHECK(entry.forward.flops == 2 * node.op->macs(batch));
    }
  }
  set_fake_quantize(model, FakeQuantState::calibration);
  const Profiler profiler;
  model(x);
  CHECK(test::entries_of(profiler).at("observe").forward.calls == static_cast<int64_t>(model.quantizers().size()));
}
