// Every layer, three times: in VALIDATION, in the simulator and for the witness.

#include <limits>
#include <set>

#include "../../bpu/compare.h"
#include "../../bpu/compile.h"
#include "../../bpu/witness/expected.h"
#include "../../core/file.h"
#include "../../core/ops/abs.h"
#include "../../core/ops/adaptive_avg_pool2d.h"
#include "../../core/ops/arithmetic.h"
#include "../../core/ops/elu.h"
#include "../../core/ops/exp.h"
#include "../../core/ops/gelu.h"
#include "../../core/ops/leaky_relu.h"
#include "../../core/ops/log.h"
#include "../../core/ops/matmul.h"
#include "../../core/ops/max_pool2d.h"
#include "../../core/ops/permute.h"
#include "../../core/ops/pow.h"
#include "../../core/ops/reduce.h"
#include "../../core/ops/relu.h"
#include "../../core/ops/relu6.h"
#include "../../core/ops/reshape.h"
#include "../../core/ops/sigmoid.h"
#include "../../core/ops/softplus.h"
#include "../../core/ops/stack.h"
#include "../../core/ops/tanh.h"
#include "../../data/dataset.h"
#include "../../quant/fused_conv.h"
#include "../../quant/layers/layer.h"
#include "../data/files.h"
#include "agreement.h"
#include "nets.h"

using namespace sinter;

namespace {

// The integers of every value; equal for model, simulator and witness, or the test fails. The results of QAT, by the
// scales there are, are theirs, too.
int64_t compared(const quant::PreparedModel& model, const std::vector<Tensor>& x) {
  const bpu::Simulator simulator(bpu::compile(model));
  const bpu::Reference reference{bpu::Program(simulator.program())};
  std::vector<std::pair<std::string, Tensor>> expected;
  const auto results =
      model.inspect(x, [&](const std::string& name, const Tensor& q) { expected.emplace_back(name, q); });
  int64_t count = 0;
  const auto expect = [&](const char* who, size_t& at, const std::string& name, const Tensor& q) {
    CAPTURE(std::string(who));
    CAPTURE(name);
    REQUIRE(at < expected.size());
    CHECK(expected[at].first == name);
    CHECK_SAME(q, expected[at++].second);
    count += q.elements();
  };
  size_t at = 0, again = 0;
  const auto simulated =
      simulator.inspect(x, [&](const std::string& name, const Tensor& q) { expect("simulator", at, name, q); });
  const auto witnessed =
      reference.inspect(x, [&](const std::string& name, const Tensor& q) { expect("witness", again, name, q); });
  CHECK(at == expected.size());
  CHECK(again == expected.size());
  for (size_t i = 0; i < results.size(); ++i) {
    CHECK_SAME(simulated[i], results[i]);
    CHECK_SAME(witnessed[i], results[i]);
  }
  quant::PreparedModel qat = model;
  quant::set_fake_quantize(qat, quant::FakeQuantState::qat);
  qat.eval();
  const auto trained = qat(std::span<const Tensor>(x));
  for (size_t i = 0; i < results.size(); ++i) CHECK_SAME(trained[i].detach(), results[i]);
  return count;
}

// One step of training: all gradients are finite, and some are not 0.
void step(const quant::PreparedModel& model, const std::vector<Tensor>& x) {
  const auto results = model(std::span<const Tensor>(x));
  for (size_t i = 0; i < results.size(); ++i)
    if (results[i].requires_grad()) results[i].backward(test::normal(results[i].shape(), i + 1), true);
  for (const NamedParameter& parameter : model.parameters()) {
    CAPTURE(parameter.name);
    Tensor value = parameter.value.tensor();
    const Tensor gradient = value.grad();
    REQUIRE(gradient.defined());
    double size = 0;
    for (int64_t i = 0; i < value.elements(); ++i) {
      size += std::abs(gradient.data<float>()[i]);
      value.mutable_data<float>()[i] -= 1e-3f * gradient.data<float>()[i];
    }
    CHECK(size > 0);
    CHECK(std::isfinite(size));
    value.set_grad({});
  }
}

struct MixedTypes : nn::Module {
  nn::Conv2d stem{{.in = 4, .out = 6, .kernel = 3, .padding = 1}};
  nn::PReLU act;
  SINTER_CHILDREN(stem, act)
  Tensor forward(const Tensor& x) const override {
    const Tensor y = stem(x), gate = sigmoid(mean(y, {1, 2}, true)), scaled = y * gate;
    return concat({tanh(act(scaled) - y), avg_pool2d(resize_bilinear(y, 2), {.kernel = 2})});
  }
};

// One prediction of images of two sizes.
struct Pyramid : nn::Module {
  nn::Conv2d stem{{.in = 3, .out = 4, .kernel = 3, .padding = 1}};
  nn::Conv2d shared{{.in = 4, .out = 4, .kernel = 3, .padding = 1, .bias = false}};
  nn::BatchNorm2d bn{4};
  nn::PReLU act;
  nn::Conv2d head{{.in = 4, .out = 2, .kernel = 1}};
  SINTER_CHILDREN(stem, shared, bn, act, head)
  Tensor forward(const Tensor& x) const override {
    const Tensor large = relu(stem(x)), small = avg_pool2d(large, {.kernel = 2});
    const auto predict = [this](const Tensor& y) { return act(bn(shared(y))); };
    const Tensor first = predict(large);
    return head(first + resize_bilinear(predict(small), 2));
  }
};

struct SeveralEnds : nn::Module {
  nn::Conv2d a{{.in = 4, .out = 4, .kernel = 3, .padding = 1}}, b{{.in = 4, .out = 4, .kernel = 1}};
  SINTER_CHILDREN(a, b)
  std::vector<Tensor> forward_all(std::span<const Tensor> x) const override {
    const Tensor y = relu(a(x[0]));
    return {b(y), concat({y, x[1]}), hardswish(y * x[1]), x[1]};
  }
};

struct UNet : nn::Module {
  nn::Conv2d first{{.in = 3, .out = 8, .kernel = 3, .padding = 1, .bias = false}},
      second{{.in = 8, .out = 8, .kernel = 3, .padding = 1, .bias = false}},
      bottom{{.in = 8, .out = 8, .kernel = 3, .padding = 1, .bias = false}},
      merge{{.in = 16, .out = 8, .kernel = 3, .padding = 1}}, head{{.in = 24, .out = 2, .kernel = 1}};
  nn::BatchNorm2d bn1{8}, bn2{8}, bn3{8}, bn4{8};
  nn::ConvTranspose2d up{{.in = 8, .out = 8, .kernel = 2, .stride = 2, .bias = false}};
  SINTER_CHILDREN(first, second, bottom, merge, head, bn1, bn2, bn3, bn4, up)
  Tensor forward(const Tensor& x) const override {
    const Tensor large = relu(bn1(first(x)));
    const Tensor middle = silu(bn2(second(max_pool2d(large, {.kernel = 2}))));
    const Tensor small = relu6(bn3(bottom(avg_pool2d(middle, {.kernel = 2}))));
    const Tensor merged = leaky_relu(merge(concat({middle, resize_bilinear(small, 2)})));
    return head(concat({large, relu(bn4(up(merged))), resize_nearest(small, 4)}));
  }
};

}  // namespace

TEST_CASE("every layer has the same integers in validation, in the simulator and for the witness") {
  const Tensor x = test::formula_images({2, 16, 16, 3});
  for (const char* dtype : {"int8", "int16", "int4", "int2"})
    CHECK(compared(test::more_layers(quant::March::bayes, dtype), {x}) > 10000);
  for (const char* dtype : {"int8", "int4"})
    CHECK(compared(test::more_layers(quant::March::bernoulli, dtype), {x}) > 10000);
}

TEST_CASE("a network of all layers together has the same integers for all, in every type and on every march") {
  const test::AllTogether net = test::all_together();
  const auto x = test::inputs_together(2), calibration = test::inputs_together(4);
  const auto check_types = [&](const std::string& activation, const std::string& weight, const quant::March& march,
                               const std::string& batch_norm, bool in_float) {
    CAPTURE(activation);
    CAPTURE(weight);
    CAPTURE(march.name);
    CAPTURE(batch_norm);
    CAPTURE(in_float);
    quant::PrepareOptions options{.qconfig = quant::get_default_qconfig({.activation_qkwargs = {{"dtype", activation}},
                                                                         .weight_qkwargs = {{"dtype", weight}}}),
                                  .batch_norm = batch_norm,
                                  .march = march};
    if (in_float) options.by_path = {{"silu", quant::run_in_float()}, {"depthwise", quant::run_in_float()}};
    auto model = quant::prepare_qat(net, x, options);
    quant::set_fake_quantize(model, quant::FakeQuantState::calibration);
    model(std::span<const Tensor>(calibration));
    quant::set_fake_quantize(model, quant::FakeQuantState::validation);
    CHECK(compared(model, x) > 50000);
    return model;
  };
  for (const auto* march : {&quant::March::bayes, &quant::March::bernoulli})
    for (const auto& types : std::vector<std::pair<const char*, const char*>>{{"int8", "int8"},
                                                                              {"int16", "int8"},
                                                                              {"int8", "int4"},
                                                                              {"int4", "int4"},
                                                                              {"int2", "int2"},
                                                                              {"int16", "int4"}})
      if (types.first != std::string("int16") || march->int16_activations)
        check_types(types.first, types.second, *march, "fuse_bn", false);
  const auto with_floats = check_types("int8", "int8", quant::March::bayes, "with_bn", true);
  check_types("int16", "int8", quant::March::bayes, "with_bn", true);

  // Everything that a program can have is there, and every layer of them that is meant.
  std::set<std::string> layers, ops;
  const bpu::Program program = bpu::compile(with_floats);
  for (const bpu::Instruction& step : program.instructions) {
    layers.insert(step.layer);
    if (step.op) ops.insert(std::string(step.op->name()));
  }
  // What is flattened here is a mean already; attention, quotients, ... have tests of their own.
  for (const char* layer : {"add", "avg_pool", "clamp", "concat", "conv", "max_pool", "mean", "mul", "pad",
                            "pixel_shuffle", "prelu", "resize", "slice", "table", "quantize", "dequantize", "cpu"}) {
    CAPTURE(layer);
    CHECK(layers.contains(layer));
  }
  for (const char* op : {"relu6",
                         "relu",
                         "prelu",
                         "leaky_relu",
                         "silu",
                         "hardswish",
                         "tanh",
                         "sigmoid",
                         "hardsigmoid",
                         "resize",
                         "concat",
                         "slice",
                         "avg_pool2d",
                         "max_pool2d",
                         "mul",
                         "sub",
                         "add",
                         "pixel_shuffle",
                         "conv_transpose2d",
                         "conv2d",
                         "linear",
                         "mean",
                         "pad"}) {
    CAPTURE(std::string(op));
    CHECK(ops.contains(op));
  }
  const Graph& graph = with_floats.graph();
  const auto activation = [&](const char* name) {
    return quant::fused_conv(graph.nodes[static_cast<size_t>(graph.find(name))])->attributes.activation;
  };
  CHECK(activation("stem") == "relu6");
  CHECK(activation("up") == "relu");
  CHECK(graph.find("shared#2") >= 0);
  CHECK(program.inputs.size() == 2);
  CHECK(program.outputs.size() == 2);
}

TEST_CASE("a network of all layers together trains, and has the same integers for all afterwards") {
  for (const char* batch_norm : {"fuse_bn", "with_bn"}) {
    const auto x = test::inputs_together(4);
    auto model = quant::prepare_qat(test::all_together(), x, {.batch_norm = batch_norm, .march = quant::March::bayes});
    for (int i = 0; i < 2; ++i) step(model, x);
    quant::set_fake_quantize(model, quant::FakeQuantState::validation);
    CHECK(compared(model, x) > 100000);
  }
}

TEST_CASE("a march of other numbers than the built-in ones has them in every layer, and one set of integers") {
  const auto march_of = [](const char* path, std::vector<Field> fields, int resize_bits, bool power_of_two) {
    quant::March march = power_of_two ? quant::March::bernoulli : quant::March::bayes;
    march.name = text("of_", path);
    march.datapath = quant::make_datapath(path, fields);
    march.resize_bits = resize_bits;
    march.min_scale_exponent = -3;  // scales to 8
    march.max_scale_exponent = 11;
    // Two factors of 16 bits are more than 32 hold.
    march.int16_activations = path != std::string("two_stage") || fields.size() < 2;
    return march;
  };
  const auto number = [](const char* name, int64_t value) { return Field{name, value}; };
  const auto flag = [](const char* name, bool value) { return Field{name, value}; };
  const auto x = test::inputs_together(2);
  for (const quant::March& march :
       {march_of("single", {number("multiplier_bits", 12)}, 12, false),
        march_of("single", {number("multiplier_bits", 8), number("max_shift", 20)}, 15, true),
        march_of("single", {number("multiplier_bits", 20)}, 16, false),
        march_of("two_stage", {flag("rounds", false)}, 8, false),
        march_of("two_stage", {number("max_pre", 9), flag("shifted_sums", false)}, 5, true),
        march_of("shift", {number("multiplier_bits", 9)}, 8, true)})
    for (const char* dtype : {"int8", "int16"}) {
      CAPTURE(describe(march));
      CAPTURE(std::string(dtype));
      if (dtype == std::string("int16") && !march.int16_activations) continue;
      auto model = quant::prepare_qat(test::all_together(), x,
                                      {.qconfig = test::activations_of(dtype),
                                       .march = march,
                                       .rounding = dtype == std::string("int8") ? "bpu_round" : "half_to_even"});
      quant::set_fake_quantize(model, quant::FakeQuantState::calibration);
      model(std::span<const Tensor>(x));
      quant::set_fake_quantize(model, quant::FakeQuantState::validation);
      CHECK(compared(model, x) > 50000);
      CHECK(bpu::compile(model).march == model.march());
      // A step of training, with the file of what is compiled.
      quant::set_fake_quantize(model, quant::FakeQuantState::qat);
      step(model, x);
      quant::set_fake_quantize(model, quant::FakeQuantState::validation);
      const test::TemporaryDirectory directory;
      bpu::save(bpu::compile(model), directory / "program");
      const bpu::Simulator loaded(bpu::load_program(directory / "program"));
      CHECK(loaded.program().march == model.march());
      const std::vector<Tensor> expected = model(std::span<const Tensor>(x)),
                                found = loaded(std::span<const Tensor>(x));
      for (size_t i = 0; i < expected.size(); ++i) CHECK_SAME(found[i], expected[i]);
    }
  // Of another march, even under its name, is no model that is compiled for it.
  quant::March other = quant::March::bayes;
  other.datapath = quant::make_datapath("single");
  const auto model = test::every_layer(other);
  CHECK_ERROR(bpu::compile(model, {.march = quant::March::bayes}), "the march bayes (scales float32; two_stage (");
  CHECK_FALSE(test::difference(bpu::Simulator(bpu::compile(model))(test::formula_images({4, 17, 15, 3})),
                               bpu::Simulator(bpu::compile(test::every_layer()))(test::formula_images({4, 17, 15, 3})))
                  .empty());
}

TEST_CASE("layers of other types than their inputs have the same integers, too") {
  MixedTypes net;
  test::fill(net);
  for (const auto& types : std::vector<std::pair<const char*, const char*>>{{"int16", "int8"}, {"int8", "int16"}}) {
    const Tensor x = test::formula_images({2, 8, 8, 4});
    auto model = quant::prepare_qat(net, x,
                                    {.qconfig = test::activations_of(types.first),
                                     .by_type = {{"sigmoid", test::activations_of(types.second)},
                                                 {"mul", test::activations_of(types.second)},
                                                 {"prelu", test::activations_of(types.second)},
                                                 {"avg_pool2d", test::activations_of(types.second)},
                                                 {"concat", test::activations_of(types.second)}},
                                     .march = quant::March::bayes});
    quant::set_fake_quantize(model, quant::FakeQuantState::calibration);
    model(x);
    CHECK(compared(model, {x}) > 5000);
    int other = 0;
    for (const bpu::Value& value : bpu::compile(model).values) other += to_string(value.dtype) == types.second;
    CHECK(other >= 5);
  }
}

TEST_CASE("a layer that is called twice has one set of weights and a scale for each call") {
  Pyramid net;
  test::fill(net);
  const Tensor x = test::formula_images({2, 8, 8, 3});
  auto model = test::calibrated(net, x, quant::March::bayes);
  CHECK(compared(model, {x}) > 1000);
  const Graph& graph = model.graph();
  const auto node = [&](const char* name) { return static_cast<size_t>(graph.find(name)); };
  CHECK(graph.nodes[node("shared")].inputs[1] == graph.nodes[node("shared#2")].inputs[1]);
  CHECK(graph.nodes[node("act")].inputs[1] == graph.nodes[node("act#2")].inputs[1]);
  CHECK(model.node_quantizer(node("shared"))->range().max != model.node_quantizer(node("shared#2"))->range().max);
  // A step of training moves the weights of both.
  quant::set_fake_quantize(model, quant::FakeQuantState::qat);
  step(model, {x});
  quant::set_fake_quantize(model, quant::FakeQuantState::validation);
  CHECK(compared(model, {x}) > 1000);
}

TEST_CASE("several inputs and outputs: of high precision, of integers, and inputs as they are") {
  SeveralEnds net;
  test::fill(net);
  for (const auto* march : {&quant::March::bayes, &quant::March::bernoulli}) {
    const std::vector<Tensor> x{test::formula_images({3, 6, 6, 4}), test::formula_images({3, 6, 6, 4}).clone()};
    Tensor second = x[1];
    for (int64_t i = 0; i < second.elements(); ++i) second.mutable_data<float>()[i] *= 0.3f;
    auto model = quant::prepare_qat(net, x, {.march = *march});
    quant::set_fake_quantize(model, quant::FakeQuantState::calibration);
    model(std::span<const Tensor>(x));
    quant::set_fake_quantize(model, quant::FakeQuantState::validation);
    CHECK(compared(model, x) > 1000);
    const bpu::Program p = bpu::compile(model);
    std::vector<DType> types;
    for (const int output : p.outputs) types.push_back(p.values[output].dtype);
    CHECK(types == std::vector<DType>{DType::int32, DType::int8, DType::int8, DType::int8});
    CHECK(p.outputs[3] == p.inputs[1]);
    quant::set_fake_quantize(model, quant::FakeQuantState::qat);
    step(model, x);
  }
}

TEST_CASE("a network that is upsampled three ways and concatenated has the same integers after a step of training") {
  UNet net;
  test::fill(net);
  const Tensor x = test::formula_images({2, 16, 16, 3});
  for (const char* batch_norm : {"fuse_bn", "with_bn"}) {
    auto model = quant::prepare_qat(net, x, {.batch_norm = batch_norm, .march = quant::March::bayes});
    step(model, {x});
    quant::set_fake_quantize(model, quant::FakeQuantState::validation);
    CHECK(model(x).shape() == Shape{2, 16, 16, 2});
    if (model.graph().nodes[0].inputs.size() == 3) CHECK(compared(model, {x}) > 20000);
  }
}

TEST_CASE("real numbers of layers that stay float are compared by their bits") {
  test::MoreLayers net;
  test::fill(net);
  const Tensor x = test::formula_images({2, 16, 16, 3});
  auto model = quant::prepare_qat(net, x,
                                  {.by_type = {{"silu", quant::run_in_float()},
                                               {"conv_transpose2d", quant::run_in_float()},
                                               {"prelu", quant::run_in_float()}},
                                   .march = quant::March::bayes});
  quant::set_fake_quantize(model, quant::FakeQuantState::calibration);
  model(x);
  CHECK(compared(model, {x}) > 20000);
  const bpu::Simulator simulator(bpu::compile(model));
  Tensor pixels = Tensor::empty({3, 16, 16, 3}, DType::uint8);
  for (int64_t i = 0; i < pixels.elements(); ++i) pixels.mutable_data<uint8_t>()[i] = static_cast<uint8_t>(i * 37);
  const data::ImageDataset images(pixels, Tensor::zeros({3}, DType::int64));
  const auto same = bpu::compare(model, simulator, images);
  CHECK_MESSAGE(same.differing == 0, to_string(same));
  CHECK(same.compared > 30000);
  // PReLU's slopes, which only that layer has.
  bpu::Program changed = simulator.program();
  for (bpu::Instruction& step : changed.instructions)
    if (step.layer == quant::kCpu && step.op->name() == "prelu") step.constants[1] = Tensor::full({8}, 0.7f);
  const auto other = bpu::compare(model, bpu::Simulator(std::move(changed)), images);
  CHECK(other.differing > 0);
  CHECK(other.first.starts_with("act, image 0, element "));
}

TEST_CASE("what was compiled stays as it is when the model is trained on") {
  test::MoreLayers net;
  test::fill(net);
  const Tensor x = test::formula_images({2, 16, 16, 3});
  for (const bool in_float : {false, true}) {
    quant::PrepareOptions options{.march = quant::March::bayes};
    if (in_float) options.by_type = {{"prelu", quant::run_in_float()}};
    auto model = quant::prepare_qat(net, x, options);
    step(model, {x});
    const bpu::Simulator simulator(bpu::compile(model));
    const Tensor before = simulator(x);
    for (const NamedParameter& parameter : model.parameters()) {
      Tensor value = parameter.value.tensor();
      for (int64_t i = 0; i < value.elements(); ++i) value.mutable_data<float>()[i] *= 0.5f;
    }
    CHECK_SAME(simulator(x), before);
    CHECK_FALSE(test::difference(bpu::Simulator(bpu::compile(model))(x), before).empty());
    CHECK_NOTHROW(bpu::Reference{bpu::Program(simulator.program())});
  }
}

TEST_CASE("a program of every layer comes back from its file, to equal bytes") {
  const test::TemporaryDirectory directory;
  const std::string path = directory / "program";
  const Tensor x = test::formula_images({2, 16, 16, 3});
  for (const char* dtype : {"int8", "int16"}) {
    const bpu::Program p = bpu::compile(test::more_layers(quant::March::bayes, dtype));
    bpu::save(p, path);
    const auto bytes = read_file(path);
    const bpu::Program q = bpu::load_program(path);
    CHECK(to_string(q) == to_string(p));
    CHECK(bpu::parameter_bytes(q) == bpu::parameter_bytes(p));
    bpu::save(q, path);
    CHECK(read_file(path) == bytes);
    CHECK_NOTHROW(bpu::Reference{bpu::Program(q)});
    CHECK_SAME(bpu::Simulator(bpu::Program(q))(x), bpu::Simulator(bpu::Program(p))(x));
  }
}

namespace {

// The instruction that makes a value.
bpu::Instruction& maker(bpu::Program& p, const std::string& value) {
  for (bpu::Instruction& step : p.instructions)
    if (p.values[static_cast<size_t>(step.output)].name == value) return step;
  fail("no value ", value);
}

bpu::Value& value(bpu::Program& p, const std::string& name) {
  return p.values[static_cast<size_t>(maker(p, name).output)];
}

template <class O, class A>
void replace_op(bpu::Instruction& step, const A& attributes) {
  step.op = std::make_shared<O>(attributes);
}

}  // namespace

TEST_CASE("layers that no compiler made are refused with what is wrong") {
  const bpu::Program good = bpu::compile(test::more_layers());
  const auto refused = [&](const auto& change, const std::string& message) {
    bpu::Program p = good;
    change(p);
    CHECK_ERROR(bpu::check_program(p), message);
  };
  CHECK_NOTHROW(bpu::check_program(good));
  // Tables.
  refused([](auto& p) { maker(p, "silu").table = Tensor(); }, "(table) has no table of 256 int8");
  refused([](auto& p) { maker(p, "silu").table = Tensor::zeros({255}, DType::int8); }, "has no table of 256 int8");
  refused([](auto& p) { maker(p, "silu").table = Tensor::zeros({256}, DType::int16); }, "has no table of 256 int8");
  refused([](auto& p) { maker(p, "silu").constants = {Tensor()}; }, "(table) has 1 constants, expected the operands");
  refused([](auto& p) { value(p, "silu").high = 3; }, "in its table, outside of -128..3");
  refused([](auto& p) { maker(p, "silu").op = std::make_shared<ops::Relu>(); }, "(table) has the operation 'relu'");
  // Rescalings.
  refused([](auto& p) { maker(p, "concat").rescale.pop_back(); }, "(concat) has 3 rescalings, expected 4");
  refused([](auto& p) { maker(p, "concat").rescale[1].pre = 32; }, "its first shift is out of the hardware's range");
  refused([](auto& p) { maker(p, "avg_pool2d").rescale.pop_back(); }, "(avg_pool) has 5 rescalings, expected 6");
  refused([](auto& p) { maker(p, "act").rescale.pop_back(); }, "(prelu) has 7 rescalings, expected 8");
  refused([](auto& p) { maker(p, "act").rescale[3].second = -(int64_t{1} << 46); }, "the sum may reach");
  refused([](auto& p) { maker(p, "act").constants.pop_back(); }, "(prelu) has no slopes");
  refused([](auto& p) { maker(p, "act").constants[1] = Tensor::ones({3}); },
          "prelu: weight is [3], expected [8] or [1]");
  refused([](auto& p) { maker(p, "sub").rescale[0].first = 1 << 28; }, "the sum may reach");
  refused([](auto& p) { maker(p, "add#2").rescale[0].post = 32; }, "its second shift is out of 0..31");
  refused([](auto& p) { maker(p, "attention.mul").rescale[0].m = 1 << 15; }, "its multiplier does not fit 16 bits");
  refused([](auto& p) { maker(p, "slice").rescale = {{}}; }, "(slice) has 1 rescalings, expected 0");
  // Shapes, the batch's axis, operations and types.
  refused([](auto& p) { replace_op<ops::Slice>(maker(p, "slice"), SliceAttributes{.axis = 0, .end = 1}); },
          "(slice) has the axis of the batch");
  refused([](auto& p) { replace_op<ops::Slice>(maker(p, "slice"), SliceAttributes{.begin = 4}); },
          "(slice) gives [1,16,16,4], but its value is [1,16,16,5]");
  refused([](auto& p) { replace_op<ops::Slice>(maker(p, "slice"), SliceAttributes{.begin = int64_t{1} << 40}); },
          "(slice) has begin=");
  // The largest number is an end alone.
  constexpr int64_t kMost = std::numeric_limits<int64_t>::max();
  refused([](auto& p) { replace_op<ops::Slice>(maker(p, "slice"), SliceAttributes{.begin = 3, .step = kMost}); },
          "(slice) has step=");
  refused([](auto& p) { replace_op<ops::AvgPool2d>(maker(p, "avg_pool2d"), AvgPoolAttributes{.kernel = kMost}); },
          "(avg_pool) has kernel=");
  refused(
      [](auto& p) {
        replace_op<ops::Pad>(maker(p, "pad"), PadAttributes{.before = {0, kMost, 0, 0}});
      },
      "(pad) has before=");
  refused(
      [](auto& p) {
        replace_op<ops::Pad>(maker(p, "pad"), PadAttributes{.before = {1, 0, 0, 0}});
      },
      "(pad) adds to the batch");
  refused([](auto& p) { replace_op<ops::Concat>(maker(p, "concat"), ConcatAttributes{.axis = 0}); },
          "(concat) has the axis of the batch");
  refused([](auto& p) { maker(p, "slice").op = std::make_shared<ops::Sigmoid>(); },
          "(slice) has the operation 'sigmoid'");
  refused(
      [](auto& p) {
        value(p, "resize").dtype = DType::int16;
        value(p, "resize").bits = 16;
      },
      "(resize) gives int16 from int8");
  refused([](auto& p) { value(p, "resize").low = 0; }, "(resize) limits -128..127 to 0..127");
  refused([](auto& p) { maker(p, "attention.mul").inputs.pop_back(); }, "(mul) has 1 inputs");
  refused(
      [](auto& p) {
        replace_op<ops::AvgPool2d>(maker(p, "avg_pool2d"), AvgPoolAttributes{.kernel = int64_t{1} << 33});
      },
      "(avg_pool) has kernel=");
  const auto transposed = [&](const auto& change, const std::string& message) {
    refused(
        [&](auto& p) {
          auto attributes = static_cast<const quant::FusedConv&>(*maker(p, "up").op).attributes;
          change(attributes);
          replace_op<quant::FusedConv>(maker(p, "up"), attributes);
        },
        message);
  };
  transposed([](auto& a) { a.output_padding = 2; }, "(conv) has a window of padding 1x1 and output padding 2x2");
  transposed([](auto& a) { a.padding = 4; }, "(conv) has a window of padding 4x4");
  transposed([](auto& a) { a.padding = std::numeric_limits<int64_t>::max(); }, "(conv) has padding=");
  transposed([](auto& a) { a.stride = 3; }, "(conv) gives [1,23,23,8], but its value is [1,16,16,8]");
  transposed([](auto& a) { a.transposed = false; }, "(conv) gives [1,4,4,8], but its value is");
}

TEST_CASE("the witness refuses layers whose integers are not what the scales ask for") {
  const bpu::Program good = bpu::compile(test::more_layers());
  const auto refused = [&](const auto& change, const std::string& message) {
    bpu::Program p = good;
    change(p);
    CHECK_ERROR(bpu::Reference(std::move(p)), message);
  };
  CHECK_NOTHROW(bpu::Reference{bpu::Program(good)});
  for (const char* name : {"hardswish", "attention.hardsigmoid", "silu", "tanh", "sigmoid", "leaky_relu"})
    for (const int64_t at : {0, 100, 255})
      refused(
          [&](auto& p) {
            Tensor& table = maker(p, name).table;
            table = table.clone();
            int8_t& entry = table.template mutable_data<int8_t>()[at];
            entry = static_cast<int8_t>(entry > 0 ? entry - 1 : entry + 1);
          },
          text("\n  ", name, ": its table has "));
  for (const char* name : {"attention.mul", "attention.mean", "act", "up", "sub", "concat", "avg_pool2d", "add#2"})
    refused(
        [&](auto& p) {
          quant::Rescaling& last = maker(p, name).rescale.back();
          last.m += last.m > 0 ? -1 : 1;
        },
        text("\n  ", name, name == std::string("up") ? ", channel 7: " : ", rescaling "));
  // Without check_program, which comes first: the witness misses rescalings by itself.
  for (const char* name : {"attention.mul", "attention.mean", "act", "up", "sub", "concat", "avg_pool2d", "add#2"}) {
    bpu::Program p = good;
    maker(p, name).rescale.clear();
    const std::string wrong = bpu::witness::wrong_integers(p, maker(p, name));
    CHECK(wrong.starts_with(text("\n  ", name, ": it has 0 rescalings, expected ")));
  }
  refused([](auto& p) { maker(p, "act").rescale[0].second = -maker(p, "act").rescale[0].second; },
          "\n  act, rescaling 0: ");
  refused([](auto& p) { --maker(p, "sub").rescale[0].second; }, "\n  sub, rescaling 0: ");
  refused([](auto& p) { value(p, "pixel_shuffle").scale *= 2; }, "\n  pixel_shuffle: its scale is ");
  refused([](auto& p) { value(p, "resize").scale *= 2; }, "\n  resize: its scale is ");
  refused([](auto& p) { value(p, "slice#3").low = -1; }, "\n  slice#3: its bounds are -1..127, expected 0..127");
}

TEST_CASE("reductions, permutations, products of matrices and functions have the same integers for all") {
  struct Attention : nn::Module {
    nn::Linear query{{.in = 6, .out = 8}}, key{{.in = 6, .out = 8}}, value{{.in = 6, .out = 8}},
        out{{.in = 8, .out = 5}};
    nn::BatchNorm2d norm{6};
    SINTER_CHILDREN(query, key, value, out, norm)
    Tensor forward(const Tensor& x) const override {
      // The factors of the normalisation once more, as a parameter that is multiplied and added.
      const Tensor at = norm.weight;
      const Tensor tokens = (reshape(relu(norm(x)) * 0.75, {-1, 16, 6}) * at - at) + Tensor::full({1, 16, 6}, 0.125);
      const auto heads = [](const Tensor& t) { return permute(reshape(t, {-1, 16, 2, 4}), {0, 2, 1, 3}); };
      const Tensor scores = matmul(heads(query(tokens)), heads(key(tokens)), {.transpose_b = true});
      const Tensor weights = sigmoid(scores - max(scores, {-1}, true));
      const Tensor mixed = reshape(permute(matmul(weights, heads(value(tokens))), {0, 2, 1, 3}), {-1, 16, 8});
      return out(sum(gelu(mixed), {1})) + 0.5;
    }
  };
  Attention net;
  test::fill(net);
  const Tensor x = test::formula_images({3, 4, 4, 6});
  for (const quant::March& march :
       {quant::March::bernoulli, quant::March::bernoulli2, quant::March::bayes, quant::March::nash})
    for (const char* dtype : {"int8", "int4"}) {  // products of 16 bits are more than 32 hold
      CAPTURE(describe(march));
      CAPTURE(std::string(dtype));
      auto model = quant::prepare_qat(net, x, {.qconfig = test::activations_of(dtype), .march = march});
      quant::set_fake_quantize(model, quant::FakeQuantState::calibration);
      model(x);
      test::check_agreement(model, x);
    }
}

TEST_CASE("chains of operations of one value have the same integers for all, from their file, too") {
  struct Net : nn::Module {
    nn::Conv2d conv{{.in = 3, .out = 6, .kernel = 3}};
    nn::BatchNorm2d norm{6};
    nn::Linear head{{.in = 6, .out = 4}};
    SINTER_CHILDREN(conv, norm, head)
    Tensor forward(const Tensor& x) const override {
      const Tensor y = conv(maximum(leaky_relu(x, {.negative_slope = 0.3}), -0.4));
      const Tensor swish = y * sigmoid(1.5 * y), smooth = 0.5 * y * (1.0 + tanh(0.8 * (y + 0.045 * pow(y, 3.0))));
      const Tensor steep = 1.0 / (abs(y - 0.25) + 0.5), flat = log(exp(relu(y)) + 1.0) - elu(y);
      return head(mean((swish + smooth) * norm.weight * steep + flat / 3.0 * softplus(y), {1, 2}));
    }
  };
  Net net;
  test::fill(net);
  net.norm.weight.tensor().copy_from(Tensor::from({6}, {1, -2, 0.5f, 0.75f, 3, -0.3f}));
  const Tensor x = test::formula_images({3, 6, 6, 3});
  for (const quant::March& march : {quant::March::bernoulli, quant::March::bayes, quant::March::nash})
    for (const char* dtype : {"int8", "int16", "int4"}) {
      if (!march.int16_activations && std::string(dtype) == "int16") continue;
      CAPTURE(describe(march));
      CAPTURE(std::string(dtype));
      auto model = quant::prepare_qat(
          net, x,
          {.qconfig = test::activations_of(dtype),
           .by_type = {{"mul", quant::get_default_qconfig()}},  // products of 16 bits are more than 32 hold
           .march = march});
      int chains = 0;
      for (const Node& node : model.graph().nodes) chains += node.op->name() == "chain";
      CHECK(chains >= 4);
      quant::set_fake_quantize(model, quant::FakeQuantState::calibration);
      model(x);
      test::check_agreement(model, x);
      step(model, {x});
    }
}

TEST_CASE("adaptive poolings of every kind, and a stack, have the same integers for all") {
  struct Pooled : nn::Module {
    nn::Conv2d stem{{.in = 2, .out = 4, .kernel = 3, .padding = 1}};
    nn::Linear head{{.in = 4, .out = 3}};
    SINTER_CHILDREN(stem, head)
    Tensor forward(const Tensor& x) const override {
      const Tensor y = relu(stem(x));  // [N,6,7,4]
      const auto joined = [](const Tensor& t) { return mean(t, {1, 2}); };
      return head(mean(stack({joined(adaptive_avg_pool2d(y, {3, 7})), joined(adaptive_avg_pool2d(y, {5, 6})),
                              joined(adaptive_avg_pool2d(y, {4, 7})), joined(adaptive_avg_pool2d(y, {6, 3})),
                              joined(adaptive_avg_pool2d(y, 1))},
                             1),
                       {1}));
    }
  };
  Pooled net;
  test::fill(net);
  const Tensor x = test::formula_images({3, 6, 7, 2});
  for (const quant::March& march : {quant::March::bernoulli, quant::March::bayes, quant::March::nash}) {
    CAPTURE(describe(march));
    auto model = quant::prepare_qat(net, x, {.march = march});
    quant::set_fake_quantize(model, quant::FakeQuantState::calibration);
    model(x);
    test::check_agreement(model, x);
  }
}
