// int16, int4 and int2: QAT, VALIDATION, the simulator and the witness agree, and gradients are those of a float
// network.

#include "../../core/ops/arithmetic.h"
#include "../../nn/optim/sgd.h"
#include "../quant/float_qat.h"
#include "agreement.h"

using namespace sinter;
using namespace sinter::quant;
using test::check_agreement;
using test::images;

namespace {

const Tensor kExample = Tensor::zeros({1, 8, 8, 3});

// Every kind of layer: convolutions with and without activation and residual, depthwise, an addition, a ReLU and a
// pooling of their own, a mean, a reshape.
struct Net : nn::Module {
  nn::Conv2d stem{{.in = 3, .out = 6, .kernel = 3, .padding = 1}},
      depthwise{{.in = 6, .out = 6, .kernel = 3, .padding = 1, .groups = 6}}, point{{.in = 6, .out = 6, .kernel = 1}},
      last{{.in = 6, .out = 8, .kernel = 3, .padding = 1}};
  nn::BatchNorm2d bn{6};
  nn::Linear hidden{{.in = 8, .out = 8}}, head{{.in = 8, .out = 4}};
  SINTER_CHILDREN(stem, depthwise, point, last, bn, hidden, head)
  Tensor forward(const Tensor& x) const override {
    const Tensor y = relu(bn(stem(x))), z = relu6(depthwise(y));
    const Tensor sum = relu(point(z) + y), both = relu(sum + z);
    const Tensor pooled = mean(last(max_pool2d(both, {.kernel = 2})), {1, 2});
    return head(relu(hidden(pooled)));
  }
};

QConfig of_types(const std::string& activation, const std::string& weight,
                 const std::string& fake_quant = "fake_quant") {
  return get_default_qconfig({.activation_fake_quant = fake_quant,
                              .weight_fake_quant = fake_quant,
                              .activation_qkwargs = {{"dtype", activation}},
                              .weight_qkwargs = {{"dtype", weight}}});
}

PreparedModel calibrated(const nn::Module& model, PrepareOptions options) {
  if (!options.march) options.march = March::bayes;
  PreparedModel result = prepare_qat(model, kExample, options);
  set_fake_quantize(result, FakeQuantState::calibration);
  for (uint64_t i = 0; i < 2; ++i) result(images({4, 8, 8, 3}, i));
  set_fake_quantize(result, FakeQuantState::qat);
  return result;
}

const Value& value(const IntegerProgram& program, const std::string& name) {
  for (const Value& v : program.values)
    if (v.name == name) return v;
  fail("no value ", name);
}

// Either all give the same bits, or VALIDATION says what is wrong with a residual's scale.
bool agrees_or_tells(PreparedModel& model, const Tensor& x) {
  try {
    PreparedModel tried = model;
    set_fake_quantize(tried, FakeQuantState::validation);
    tried(x);
  } catch (const Error& error) {
    CHECK(std::string(error.what()).find(" times its accumulator's unit, expected 0.5 to ") != std::string::npos);
    return false;
  }
  check_agreement(model, x);
  return true;
}

}  // namespace

TEST_CASE("networks of every type agree, as they are and after a step of training") {
  const Tensor x = images({3, 8, 8, 3}, 4, 1.2);
  int agreed = 0, told = 0;
  for (const March& march : {March::nash, March::bernoulli, March::bayes, March::bernoulli2})
    for (const std::string activation : {"int16", "int8", "int4", "int2"})
      for (const std::string weight : {"int8", "int4", "int2"})
        for (const std::string fake_quant : {"fake_quant", "lsq", "pact"}) {
          if (activation == "int16" && !march.int16_activations) continue;
          CAPTURE(activation);
          CAPTURE(weight);
          CAPTURE(fake_quant);
          CAPTURE(march.name);
          PreparedModel model = calibrated(test::randomized(Net{}),
                                           {.qconfig = of_types(activation, weight, fake_quant), .march = march});
          check_agreement(model, x);
          const Tensor y = model(images({4, 8, 8, 3}, 5));
          y.backward(images(y.shape(), 6));
          optim::AnyOptimizer optimizer = optim::SGD{{.lr = 0.001}};
          optimizer->step(model.parameters());
          // Beside units of so coarse weights residuals may have no integers any more, which is told.
          const bool coarse = weight == "int2" || (activation == "int16" && weight == "int4");
          if (march.datapath->name() == "two_stage" && coarse)
            ++(agrees_or_tells(model, x) ? agreed : told);
          else
            check_agreement(model, x);
        }
  CAPTURE(agreed);
  CHECK(agreed + told == 3 * 3 * 2 + 3 + 3);
}

TEST_CASE("types may differ from tensor to tensor") {
  const Tensor x = images({3, 8, 8, 3}, 4, 1.2);
  const QConfig wide = of_types("int16", "int8"), narrow = of_types("int4", "int4"), least = of_types("int2", "int2");
  for (const std::map<std::string, QConfig>& by_path :
       {std::map<std::string, QConfig>{{"stem", wide}, {"point", narrow}},
        {{"stem", narrow}, {"depthwise", wide}, {"point", wide}},
        {{"input", wide}, {"depthwise.activation", least}, {"add#2", wide}},
        {{"input", narrow}, {"point.weight", least}, {"add#2", narrow}, {"last", wide}},
        {{"mean", wide}, {"hidden", least}, {"last", narrow}},
        {{"stem", wide}, {"depthwise", narrow}, {"add#2", least}, {"mean", narrow}, {"hidden", wide}}}) {
    CAPTURE(by_path.begin()->first);
    PreparedModel model = calibrated(test::randomized(Net{}, 2), {.by_path = by_path, .march = March::nash});
    check_agreement(model, x);
    const Tensor y = model(images({4, 8, 8, 3}, 5));
    y.backward(images(y.shape(), 6));
    optim::AnyOptimizer optimizer = optim::SGD{{.lr = 0.001}};
    optimizer->step(model.parameters());
    check_agreement(model, x);
  }
}

TEST_CASE("gradients of networks of other types are those of a float network") {
  for (const std::string activation : {"int16", "int4", "int2"})
    for (const std::string weight : {"int8", "int4"}) {
      CAPTURE(activation);
      CAPTURE(weight);
      PreparedModel model =
          calibrated(test::randomized(Net{}, 3), {.qconfig = of_types(activation, weight), .march = test::kExact});
      model.eval();
      test::check_against_float(model, images({4, 8, 8, 3}, 7));
    }
}

TEST_CASE("more bits are nearer to the float network") {
  Net net = test::randomized(Net{}, 4);
  const Tensor x = images({8, 8, 8, 3}, 4);
  double before = 0;
  for (const std::string bits : {"int8", "int4", "int2"}) {
    PreparedModel model = calibrated(net, {.qconfig = of_types(bits, bits)});
    const Tensor y = check_agreement(model, x);
    net.eval();
    const Tensor expected = net(x).detach();
    double error = 0;
    for (int64_t i = 0; i < y.elements(); ++i) error += std::pow(y.data<float>()[i] - expected.data<float>()[i], 2);
    CAPTURE(bits);
    CHECK(error > 5 * before);
    before = error;
  }
}

TEST_CASE("below 8 bits what cannot be negative has no integers for it") {
  PreparedModel model = calibrated(test::randomized(Net{}), {.qconfig = of_types("int4", "int4")});
  set_fake_quantize(model, FakeQuantState::validation);
  const bpu::Program program = bpu::compile(model);
  const auto bounds = [&](const std::string& name) { return value(program, name).grid().bounds; };
  CHECK(bounds("input") == Bounds{-8, 7});
  CHECK(bounds("stem") == Bounds{0, 15});
  CHECK(bounds("point") == Bounds{0, 15});
  CHECK(bounds("add#2") == Bounds{0, 15});  // of two that are not negative
  CHECK(bounds("max_pool2d") == Bounds{0, 15});
  CHECK(bounds("last") == Bounds{-8, 7});
  CHECK(bounds("mean") == Bounds{-8, 7});
  for (const Instruction& step : program.instructions)
    if (step.layer == "conv")
      for (const int8_t w : step.weight.values<int8_t>()) CHECK((w >= -8 && w <= 7));
  PreparedModel wide = calibrated(test::randomized(Net{}), {.qconfig = of_types("int16", "int8")});
  const bpu::Program program16 = bpu::compile(wide);
  CHECK(value(program16, "stem").grid().bounds == Bounds{0, 32767});
  CHECK(value(program16, "input").grid().bounds == Bounds{-32768, 32767});
  CHECK(value(program16, "max_pool2d").dtype == DType::int16);
}

TEST_CASE("int16 is refused where the march has none, and for kernels that are too large, all at once") {
  CHECK_ERROR(
      prepare_qat(Net{}, kExample, {.qconfig = of_types("int16", "int8"), .march = March::bernoulli}),
      "prepare_qat: this qconfig does not fit the network:\n  input, stem, depthwise, point, add#2, last, mean, "
      "hidden: int16 activations, which the bernoulli does not have; leave them int8");
  CHECK_ERROR(
      prepare_qat(Net{}, kExample, {.by_path = {{"depthwise", of_types("int16", "int8")}}, .march = March::bernoulli}),
      "\n  depthwise: int16 activations, which the bernoulli does not have");
  struct Large : nn::Module {
    nn::Conv2d first{{.in = 3, .out = 29, .kernel = 3, .padding = 1}},
        second{{.in = 29, .out = 28, .kernel = 3, .padding = 1}}, third{{.in = 28, .out = 257, .kernel = 3}},
        grouped{{.in = 257, .out = 257, .kernel = 3, .groups = 257}};
    nn::Linear head{{.in = 257, .out = 2}};
    SINTER_CHILDREN(first, second, third, grouped, head)
    Tensor forward(const Tensor& x) const override {
      return head(mean(relu(grouped(third(max_pool2d(second(first(x)), {.kernel = 1})))), {1, 2}));
    }
  };
  const auto message = [](const March& march) {
    try {
      prepare_qat(Large{}, kExample, {.qconfig = of_types("int16", "int8"), .march = march});
    } catch (const Error& error) {
      return std::string(error.what());
    }
    return std::string("no error");
  };
  CHECK(message(March::bayes) ==
        "prepare_qat: this qconfig does not fit the network:"
        "\n  second (261), head (257): int16 read by kernels of so many weights, expected at most 256; make what they "
        "read int8 (by_path with `.activation`), or set them to float (quant::run_in_float)");
  March wide = March::bayes;
  wide.int16_kernel = 300;
  CHECK(message(wide) == "no error");
  CHECK_ERROR(get_default_qconfig({.weight_qkwargs = {{"dtype", "int16"}}}),
              "dtype int16 is for activations; weights are int8, int4 or int2");
  CHECK_ERROR(get_default_qconfig({.activation_qkwargs = {{"dtype", "int3"}}}),
              "dtype is 'int3', expected int16, int8, int4 or int2");
}
