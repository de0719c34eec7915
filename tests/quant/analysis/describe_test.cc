#include "../../../quant/analysis/describe.h"

#include "../../../quant/lower.h"
#include "../../../quant/stubs.h"
#include "../networks.h"

using namespace sinter;
using namespace sinter::quant;
using test::images;
using test::set_ranges;

namespace {

const Tensor kExample = Tensor::zeros({1, 8, 8, 3});

const TensorDescription& row(const ModelDescription& description, const std::string& name) {
  for (const TensorDescription& tensor : description.tensors)
    if (tensor.name == name) return tensor;
  fail("no row ", name);
}

QConfig typed(const std::string& activation, const std::string& weight, const std::string& fake_quant = "fake_quant") {
  return get_default_qconfig({.activation_fake_quant = fake_quant,
                              .weight_fake_quant = fake_quant,
                              .activation_qkwargs = {{"dtype", activation}},
                              .weight_qkwargs = {{"dtype", weight}}});
}

// Weights and ranges that are powers of two.
struct Tiny : nn::Module {
  QuantStub input{1.0 / 64};
  nn::Conv2d stem{{.in = 3, .out = 2, .kernel = 1}};
  nn::Linear head{{.in = 2, .out = 2}};
  SINTER_CHILDREN(input, stem, head)
  Tiny() {
    stem.weight.tensor().copy_from(Tensor::full({2, 1, 1, 3}, 127.5f / 128));
    head.weight.tensor().copy_from(Tensor::from({2, 2}, {127.5f / 64, 0, 0, -127.5f / 4}));
    for (Parameter* bias : {&stem.bias, &head.bias}) bias->tensor().copy_from(Tensor::zeros({2}));
  }
  Tensor forward(const Tensor& x) const override { return head(mean(relu6(stem(input(x))), {1, 2})); }
};

// Every tensor that the program has is as the description says.
void check_program(const PreparedModel& model) {
  const ModelDescription description = description_of(model);
  const IntegerProgram program = lower(model);
  size_t found = 0;
  for (const Value& value : program.values) {
    CAPTURE(value.name);
    std::string name = value.name;
    if (name.ends_with(".quantized")) name.erase(name.size() - std::string(".quantized").size());
    if (name.ends_with(".real")) continue;
    const TensorDescription& tensor = row(description, name);
    if (value.dtype == DType::float32) {
      CHECK((tensor.dtype == "float32" || tensor.operation.ends_with("in float")));
    } else if (value.dtype == DType::int32) {
      CHECK(tensor.dtype == "int32");
    } else {
      CHECK(tensor.scale_min == value.scale);
      CHECK(tensor.scale_max == value.scale);
      CHECK(tensor.bounds == Bounds{value.low, value.high});
      CHECK((tensor.dtype == text("int", value.bits) || tensor.dtype == text("uint", value.bits)));
    }
    ++found;
  }
  for (const Instruction& step : program.instructions) {
    if (!step.weight.defined()) continue;
    const auto scales = step.weight_scales.values<float>();
    const TensorDescription& weight =
        row(description, program.values[static_cast<size_t>(step.output)].name + ".weight");
    CHECK(weight.scale_min == *std::min_element(scales.begin(), scales.end()));
    CHECK(weight.scale_max == *std::max_element(scales.begin(), scales.end()));
    ++found;
  }
  CHECK(found >= description.tensors.size());
}

}  // namespace

TEST_CASE("a model is described as a table") {
  PreparedModel model =
      prepare_qat(Tiny{}, kExample, {.by_type = {{"linear", typed("int8", "int4")}}, .march = March::bernoulli});
  const ActivationQuantizer &stem = *model.node_quantizer(0), &mean = *model.node_quantizer(1);
  stem.observe(Samples(Tensor::from({2}, {0, 6})));
  mean.observe(Samples(Tensor::from({2}, {0.25f, 4})));
  CHECK(describe(model) ==
        R"(prepared for bernoulli, in FakeQuantState::qat
tensor       operation     dtype  observer                     fake-quant  from         averaging  batches     scale   integers           range
input        input         int8   fixed_scale{scale=0.015625}  fake_quant  QuantStub         0.01        0   0.01562  -128..127               -
stem.weight  weight        int8   min_max                      fake_quant  default              -        -  0.007812  -128..127  0.9961..0.9961
stem         conv2d+relu6  int8   min_max                      fake_quant  default           0.01        1    0.0625      0..96            0..6
mean         mean          int8   min_max                      fake_quant  default           0.01        1    0.0625  -128..127         0.25..4
head.weight  weight        int4   min_max                      fake_quant  type linear          -        -       0.5      -8..7   -31.88..1.992
head         linear        int32  -                            -           -                    -        -         -          -               -
warning: head: weights of output channel 1: its range reaches 31.875, but the largest scale of bernoulli, 0.5, saturates at 3.5
warning: stem, mean: the range is that of one batch alone; calibrate with 10 to 100
note: head: of high precision, int32 accumulators as float32
)");
}

TEST_CASE("a rounding and powers of two that were chosen are in the title") {
  const auto title = [](const PrepareOptions& options) {
    return description_of(prepare_qat(Tiny{}, kExample, options)).title;
  };
  CHECK(title({}) == "prepared for bayes, in FakeQuantState::qat");
  CHECK(title({.rounding = "bpu_round", .power_of_two = "all"}) ==
        "prepared for bayes, rounding bpu_round, powers of two as scales of all, in FakeQuantState::qat");
  CHECK(title({.march = "nash", .power_of_two = "activations"}) ==
        "prepared for nash, powers of two as scales of activations, in FakeQuantState::qat");
}

TEST_CASE("every row is as the integer program has it") {
  const QConfig plain = get_default_qconfig();
  for (const March& march : {March::bayes, March::bernoulli})
    for (const char* batch_norm : {"fuse_bn", "with_bn"})
      for (const QConfig& qconfig :
           {plain, typed("int4", "int2"), typed("int8", "int4", "lsq"), typed("int8", "int8", "pact")}) {
        PreparedModel model = prepare_qat(test::randomized(test::EveryLayer{}), kExample,
                                          {.qconfig = qconfig,
                                           .by_path = {{"wide", typed("int8", "int8")}, {"hidden", run_in_float()}},
                                           .batch_norm = batch_norm,
                                           .march = march});
        set_ranges(model, 5);
        check_program(model);
      }
  PreparedModel model = prepare_qat(test::small_net(), kExample, {.by_path = {{"body.0", typed("int16", "int8")}}});
  set_ranges(model);
  check_program(model);
  CHECK(row(description_of(model), "body.0.conv1").dtype == "int16");
}

TEST_CASE("rows say what was fused, what configured them and whose scale they have") {
  PreparedModel model = prepare_qat(test::randomized(test::EveryLayer{}), kExample,
                                    {.by_type = {{"add", typed("int4", "int8")}},
                                     .by_path = {{"hidden", run_in_float()}, {"input", typed("int16", "int8")}},
                                     .batch_norm = "with_bn"});
  const ModelDescription before = description_of(model);
  CHECK(row(before, "depthwise").operation == "conv2d+batch_norm+relu6");
  CHECK(row(before, "add").source == "type add");
  CHECK(row(before, "add").dtype == "uint4");  // of two ReLU6
  CHECK(row(before, "relu").source == "scale of add#2");
  CHECK(row(before, "relu").bounds == Bounds{0, 15});
  CHECK(row(before, "max_pool2d").source == "scale of grouped");
  CHECK(row(before, "flatten").source == "scale of wide");
  CHECK(row(before, "input").source == "path input");
  CHECK(row(before, "input").dtype == "int16");
  CHECK(row(before, "hidden").operation == "linear+relu in float");
  CHECK(row(before, "hidden").dtype == "int8");  // the head reads integers
  CHECK(row(before, "head").dtype == "int32");
  CHECK(row(before, "head").observer.empty());
  CHECK(row(before, "stem.weight").source == "default");
  for (const TensorDescription& tensor : before.tensors) {
    CHECK(tensor.name != "hidden.weight");
    if (tensor.operation != "weight") CHECK(tensor.scale_max == 0);
    CHECK(tensor.batches == 0);
  }
  CHECK(row(description_of(prepare_qat(test::small_net(), kExample)), "body.0.conv2").operation == "conv2d+add+relu");

  set_fake_quantize(model, FakeQuantState::calibration);
  model(images({2, 8, 8, 3}));
  model(images({2, 8, 8, 3}, 2));
  const TensorDescription stem = row(description_of(model), "stem");
  CHECK(stem.batches == 2);
  CHECK(stem.range.max == model.node_quantizer(0)->range().max);
  CHECK(stem.averaging_constant == 0.01);
}

TEST_CASE("settings of observers and fake-quants are told, layers that are called twice have one row of weights") {
  struct Twice : nn::Module {
    nn::Conv2d conv{{.in = 3, .out = 3, .kernel = 1}};
    SINTER_CHILDREN(conv)
    Tensor forward(const Tensor& x) const override { return relu(conv(relu(conv(x)))); }
  };
  const QConfig qconfig = get_default_qconfig({.activation_fake_quant = "pact",
                                               .activation_observer = "percentile",
                                               .activation_qkwargs = {{"alpha", 3.0}, {"percentile", 99.5}}});
  const ModelDescription description =
      description_of(prepare_qat(test::randomized(Twice{}), kExample, {.qconfig = qconfig}));
  std::vector<std::string> names;
  for (const TensorDescription& tensor : description.tensors) names.push_back(tensor.name);
  CHECK(names == std::vector<std::string>{"input", "conv.weight", "conv", "conv#2"});
  CHECK(row(description, "conv").observer == "percentile{percentile=99.5}");
  CHECK(row(description, "conv").fake_quant == "pact{alpha=3}");
  CHECK(row(description, "conv.weight").observer == "min_max");
}
