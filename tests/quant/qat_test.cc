// Gradients of quantisation-aware training, against PyTorch and against a float network with fake quantisation.

#include "../../core/ops/conv2d.h"
#include "../../core/ops/linear.h"
#include "../../core/parallel.h"
#include "../../quant/fused_conv.h"
#include "networks.h"

using namespace sinter;
using namespace sinter::quant;
using test::images;
using test::set_ranges;

namespace {

// Scales that are powers of two: every multiplier is exact, so that float networks round to the same integers.
const March kExact{.name = "exact", .power_of_two_scales = true};
const Tensor kExample = Tensor::zeros({1, 8, 8, 3});

// clamp(round(v / s), -128, 127) s, straight through where it did not clamp.
struct Rounded final : Op {
  float scale = 1;
  std::string_view name() const override { return "rounded"; }
  Specs infer(std::span<const Spec> x) const override { return {x[0]}; }
  void forward(Inputs x, Outputs y, Context& context) const override {
    context.keep(x[0]);
    for (int64_t i = 0; i < x[0].elements(); ++i)
      y[0].mutable_data<float>()[i] = std::clamp(unclamped(x[0], i), -128.0f, 127.0f) * scale;
  }
  void backward(const Context& context, Outputs dy, Gradients& dx) const override {
    const Tensor x = context.kept(0);
    float* out = dx.create(0).mutable_data<float>();
    for (int64_t i = 0; i < x.elements(); ++i) {
      const float r = unclamped(x, i);
      out[i] = r >= -128 && r <= 127 ? dy[0].data<float>()[i] : 0;
    }
  }
  float unclamped(const Tensor& x, int64_t i) const { return std::nearbyint(x.data<float>()[i] / scale); }
};

// Weights [O,...] by their channel's maximum, or biases [O] on given grids; the gradient passes everywhere.
struct RoundedChannels final : Op {
  std::vector<float> scales;
  std::string_view name() const override { return "rounded channels"; }
  Specs infer(std::span<const Spec> x) const override { return {x[0]}; }
  void forward(Inputs x, Outputs y, Context&) const override {
    const int64_t each = x[0].elements() / x[0].size(0);
    const float limit = each == 1 && x[0].rank() == 1 ? 0x1p30f : 127.0f;
    for (int64_t i = 0; i < x[0].elements(); ++i) {
      const float s = scales[static_cast<size_t>(i / each)];
      y[0].mutable_data<float>()[i] = std::fmin(std::nearbyint(x[0].data<float>()[i] / s), limit) * s;
    }
  }
  void backward(const Context&, Outputs dy, Gradients& dx) const override { dx.set(0, dy[0]); }
};

// The prepared model's graph in float.
Tensor float_qat(const PreparedModel& model, const Tensor& input, const std::vector<Tensor>& parameters) {
  const Graph& graph = model.graph();
  const auto rounded = [&](const Tensor& v, const ActivationQuantizer& quantizer) {
    Rounded op;
    op.scale = quantizer.scale(model.march());
    return call(op, v);
  };
  const Tensor x = rounded(input, model.input_quantizer(0));
  std::vector<Tensor> values(graph.nodes.size());
  std::vector<float> scales(graph.nodes.size());
  for (size_t i = 0; i < graph.nodes.size(); ++i) {
    const Node& node = graph.nodes[i];
    const auto value = [&](size_t k) {
      return node.inputs[k].kind == Operand::Kind::input ? x : values[static_cast<size_t>(node.inputs[k].index)];
    };
    const float x_scale = node.inputs[0].kind == Operand::Kind::input
                              ? model.input_quantizer(0).scale(model.march())
                              : scales[static_cast<size_t>(node.inputs[0].index)];
    Tensor y;
    if (const auto* conv = dynamic_cast<const FusedConv*>(node.op.get())) {
      const auto& a = conv->attributes;
      RoundedChannels of_weight, of_bias;
      const Tensor &w = parameters[static_cast<size_t>(node.inputs[1].index)],
                   &b = parameters[static_cast<size_t>(node.inputs[2].index)];
      for (int64_t o = 0; o < w.size(0); ++o) {
        const Range range = Samples::channel(w, o).range();
        of_weight.scales.push_back(model.march().on_grid(std::max(-range.min, range.max) / 127.5f));
        of_bias.scales.push_back(of_weight.scales.back() * x_scale);
      }
      const Tensor wq = call(of_weight, w), bq = call(of_bias, b);
      y = a.linear ? linear(value(0), wq, bq)
                   : conv2d(value(0), wq, bq,
                            {.stride = a.stride, .padding = a.padding, .dilation = a.dilation, .groups = a.groups});
      if (node.inputs.size() == 4) y = y + value(3);
      if (a.activation == "relu") y = relu(y);
      if (a.activation == "relu6") y = relu6(y);
    } else {
      std::vector<Tensor> operands;
      for (size_t k = 0; k < node.inputs.size(); ++k) operands.push_back(value(k));
      y = call_all(node.op, operands)[0];
    }
    const ActivationQuantizer* quantizer = model.node_quantizer(i);
    scales[i] = quantizer == nullptr ? x_scale : quantizer->scale(model.march());
    values[i] = quantizer == nullptr ? y : rounded(y, *quantizer);
  }
  return values[static_cast<size_t>(graph.outputs[0].index)];
}

void check_against_float(PreparedModel& model, const Tensor& x) {
  model.eval();
  std::vector<Tensor> parameters;
  for (const auto& parameter : model.graph().parameters)
    parameters.push_back(parameter.value.tensor().clone().set_requires_grad(true));
  Tensor theirs = x.clone(), ours = x.clone();
  theirs.set_requires_grad(true);
  ours.set_requires_grad(true);
  const Tensor expected = float_qat(model, theirs, parameters), actual = model(ours);
  CHECK_CLOSE(actual, expected, 1e-4, 1e-4);
  const Tensor dy = images(expected.shape(), 11);
  expected.backward(dy);
  actual.backward(dy);
  CHECK_CLOSE(ours.grad(), theirs.grad(), 1e-3, 1e-5);
  for (size_t i = 0; i < parameters.size(); ++i) {
    CAPTURE(model.graph().parameters[i].name);
    CHECK_CLOSE(model.graph().parameters[i].value.tensor().grad(), parameters[i].grad(), 1e-3, 1e-4);
  }
}

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
  check_against_float(model, images({2, 8, 8, 3}, 21, 1.2));
}

TEST_CASE("every kind of layer has its gradient in QAT") {
  PreparedModel model = prepare_qat(test::randomized(test::EveryLayer{}, 3), kExample, {.march = kExact});
  set_ranges(model, 2);
  check_against_float(model, images({2, 8, 8, 3}, 22, 1.2));
}

TEST_CASE("QAT observes the values that it quantises, real and before any multiplier") {
  const PreparedModel model = prepare_qat(test::small_net(), kExample, {.march = March::bayes});
  const Tensor x = images({4, 8, 8, 3}, 23);
  const Tensor y = model(x);  // in training: the scales include this batch
  for (const ActivationQuantizer* quantizer : model.quantizers()) CHECK(quantizer->batches() == 1);
  CHECK(model.input_quantizer(0).range().min == Samples(x).range().min);
  CHECK(model.input_quantizer(0).range().max == Samples(x).range().max);
  // The same step in float, its activations compared by their ranges.
  std::vector<Tensor> parameters;
  for (const auto& parameter : model.graph().parameters) parameters.push_back(parameter.value.tensor().clone());
  CHECK_CLOSE(y, float_qat(model, x, parameters), 0.02, 0.02);
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

TEST_CASE("a second batch moves the scales by the averaging constant") {
  const PreparedModel model = prepare_qat(
      test::small_net(), kExample,
      {.qconfig = get_default_qconfig({.activation_qkwargs = {{"averaging_constant", 0.25}}}), .march = March::bayes});
  model(Tensor::full({1, 8, 8, 3}, 1));
  model(Tensor::full({1, 8, 8, 3}, 3));
  CHECK(model.input_quantizer(0).range().max == 1.5f);
  CHECK(model.input_quantizer(0).batches() == 2);
  CHECK(model.input_quantizer(0).values() == 2 * 192);
}

TEST_CASE("a QAT step of an empty batch has gradients of zero and observes nothing") {
  PreparedModel model = prepare_qat(test::small_net(), kExample, {.march = March::bayes});
  set_ranges(model);
  const Tensor y = model(Tensor::zeros({0, 8, 8, 3}));
  CHECK(y.shape() == Shape{0, 5});
  y.backward(Tensor::zeros({0, 5}));
  for (const auto& parameter : model.parameters())
    CHECK_SAME(parameter.value.tensor().grad(), Tensor::zeros(parameter.value.tensor().shape()));
  CHECK(model.input_quantizer(0).batches() == 1);
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
