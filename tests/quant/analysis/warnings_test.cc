#include "../../../quant/analysis/warnings.h"

#include "../networks.h"

using namespace sinter;
using namespace sinter::quant;
using test::images;
using test::set_ranges;

namespace {

using Lines = std::vector<std::string>;
// One text, which doctest prints where it differs.
std::string all(const Lines& lines) {
  std::string out;
  for (const std::string& line : lines) out += line + "\n";
  return out;
}

const Tensor kExample = Tensor::zeros({1, 8, 8, 3});

PreparedModel healthy(const PrepareOptions& options = {}) {
  PreparedModel model = prepare_qat(test::small_net(), kExample, options);
  set_ranges(model);
  return model;
}

float* weights(PreparedModel& model, const std::string& name) {
  for (const NamedParameter& p : model.graph().parameters)
    if (p.name == name) return p.value.tensor().detach().mutable_data<float>();
  fail("no parameter ", name);
}

struct Calls : nn::Module {
  nn::Conv2d conv{{.in = 3, .out = 3, .kernel = 1, .bias = false}};
  nn::BatchNorm2d first{3}, second{3};
  SINTER_CHILDREN(conv, first, second)
};

}  // namespace

TEST_CASE("a healthy model has no warnings, and its high-precision output is noted") {
  const PreparedModel model = healthy();
  CHECK(all(warnings(model)) == all({}));
  CHECK(all(notes(model)) == all({"head: of high precision, int32 accumulators as float32"}));
}

TEST_CASE("tensors that nothing was observed for are warned of, many in one line") {
  const PreparedModel model = prepare_qat(test::small_net(), kExample);
  CHECK(all(warnings(model)) ==
        all({"input, stem, body.0.conv1, body.0.conv2, body.1.conv1, body.1.conv2, "
             "body.1.shortcut.conv, mean: nothing was observed yet; run data through the model in "
             "FakeQuantState::calibration, or call load_observer_params"}));
}

TEST_CASE("what saturates is warned of for the type that it has") {
  March march = March::bernoulli;
  march.int16_activations = true;
  const auto with = [&](const std::string& dtype) {
    PreparedModel model = healthy({.qconfig = get_default_qconfig({.activation_qkwargs = {{"dtype", dtype}}}),
                                   .by_path = {{"body", get_default_qconfig()}, {"mean", get_default_qconfig()}},
                                   .march = march});
    model.node_quantizer(0)->observe(Samples(Tensor::full({1}, 20000)));  // the range becomes about 200
    return saturation_warnings(model);
  };
  CHECK(all(with("int16")) == all({}));
  REQUIRE(with("int8").size() == 1);
  CHECK(with("int8")[0].find("stem: its range reaches 20") == 0);
  CHECK(with("int8")[0].find(", but the largest scale of bernoulli, 0.5, saturates at 63.5") != std::string::npos);
  CHECK(with("int4")[0].find(", 0.5, saturates at 7.5") != std::string::npos);
}

TEST_CASE("dead tensors and dead channels are warned of") {
  PreparedModel model = healthy();
  const auto shortcut = static_cast<size_t>(model.graph().find("body.1.shortcut.conv"));
  Tensor range = model.node_quantizer(shortcut)->range_state.tensor();
  range.copy_from(Tensor::zeros({3}));
  float* w = weights(model, "head.weight");
  std::fill(w + 16, w + 2 * 16, 0.0f);
  std::fill(w + 3 * 16, w + 4 * 16, 0.0f);
  float* bias = weights(model, "head.bias");
  bias[1] = 0;
  bias[3] = 5;
  CHECK(
      all(warnings(model)) ==
      all({"body.1.shortcut.conv: all its values were 0",
           "head: the weights of 2 of 5 output channels (1, 3) are all 0",
           "head: the biases of 1 of 5 output channels (3) are so large beside their weights that the weights' scales "
           "were raised"}));
}

TEST_CASE("scales that do not fit what was observed are warned of") {
  const auto with = [](const QConfig& input, float learned = 0) {
    PreparedModel model = healthy({.by_path = {{"input", input}}});
    const ActivationQuantizer& quantizer = model.input_quantizer(0);
    Tensor range = quantizer.range_state.tensor();
    range.copy_from(Tensor::zeros({3}));
    quantizer.observe(Samples(Tensor::from({2}, {-1, 1})));
    if (learned != 0) {
      Tensor number = quantizer.learned.tensor();
      number.copy_from(Tensor::full({1}, learned));
    }
    return all(warnings(model));
  };
  CHECK(with(get_default_qconfig({.activation_observer = "clip", .activation_qkwargs = {{"max", 1}, {"min", -1}}})) ==
        all({}));
  CHECK(with(get_default_qconfig(
            {.activation_observer = "clip", .activation_qkwargs = {{"max", 0.01}, {"min", -0.01}}})) ==
        all({"input: its values reach 1, but its scale 7.8431374e-05 saturates at 0.009960785"}));
  const QConfig lsq = get_default_qconfig({.activation_fake_quant = "lsq"});
  CHECK(with(lsq, 0.01f) == all({}));
  CHECK(with(lsq, 2) == all({"input: its values reach 1, but its scale 2 makes all of them 0"}));
  CHECK(with(lsq, 0.25f) ==
        all({"input: its values reach 1, but its scale 0.25 has integers up to 31.75, of which most are unused"}));
  CHECK(with(get_default_qconfig({.activation_fake_quant = "pact"}), 0.1f).find("saturates at 0.1") !=
        std::string::npos);
}

TEST_CASE("ranges that are mostly the first batch's are warned of") {
  const auto after = [](int batches, double averaging_constant, bool warm_up = false) {
    PreparedModel model =
        prepare_qat(test::small_net(), kExample,
                    {.qconfig = get_default_qconfig(
                         {.activation_qkwargs = {{"averaging_constant", averaging_constant}, {"warm_up", warm_up}}}),
                     .march = March::nash});
    set_fake_quantize(model, FakeQuantState::calibration);
    for (int i = 0; i < batches; ++i) model(images({1, 8, 8, 3}, static_cast<uint64_t>(i)));
    return warnings(model);
  };
  for (const bool warm_up : {false, true})
    CHECK(all(after(1, 0.01, warm_up)) ==
          all({"input, stem, body.0.conv1, body.0.conv2, body.1.conv1, body.1.conv2, body.1.shortcut.conv, mean: the "
               "range is that of one batch alone; calibrate with 10 to 100"}));
  CHECK(all(after(2, 0.01, true)) == all({}));
  CHECK(all(after(8, 0.1)) == all({}));
  CHECK(all(after(7, 0)) == all({}));  // frozen on purpose
  CHECK(all(after(7, 1)) == all({}));
  CHECK(all(after(7, 0.1)) ==
        all({"input, stem, body.0.conv1, body.0.conv2, body.1.conv1, body.1.conv2, "
             "body.1.shortcut.conv, mean: 53 % of the range is that of the first of 7 batches; more "
             "batches, or an averaging_constant above 0.1, or warm_up"}));
}

TEST_CASE("inputs on one side of zero are warned of") {
  PreparedModel model = prepare_qat(test::small_net(), kExample);
  set_ranges(model);
  const auto with = [&](float min, float max) {
    model.input_quantizer(0).range_state.tensor().detach().copy_from(
        Tensor::from({3}, {min, max, std::max(-min, max)}));
    return warnings(model);
  };
  CHECK(all(with(-0.8f, 2)) == all({}));
  CHECK(all(with(0, 1)) ==
        all({"input: its values are in 0..1, which leaves nearly half of the integers unused; normalise it "
             "to a mean of 0"}));
  CHECK(with(-4, 0.5f).size() == 1);
}

TEST_CASE("what did not fuse and outputs that stay int8 are warned of") {
  struct Net : Calls {
    Tensor forward(const Tensor& x) const override {
      const Tensor y = conv(x);
      return relu(y) + y;
    }
    const std::type_info& members_listed_by() const override { return typeid(Net); }
  };
  PreparedModel model = prepare_qat(test::randomized(Net{}), kExample);
  set_ranges(model);
  CHECK(
      all(warnings(model)) ==
      all({"relu: this relu was not fused, as conv is read 2 times",
           "add: this add was not fused, as conv is read 2 times",
           "add: this output of the network stays int8, as it is no convolution or linear layer; only accumulators are "
           "of high precision"}));

  struct Ends : Calls {
    std::vector<Tensor> forward_all(std::span<const Tensor> x) const override {
      const Tensor y = relu(conv(x[0])), z = conv(y);
      return {z, y, conv(z) + y};
    }
    const std::type_info& members_listed_by() const override { return typeid(Ends); }
  };
  PreparedModel ends =
      prepare_qat(test::randomized(Ends{}), std::vector<Tensor>{kExample},
                  {.qconfig = get_default_qconfig({.activation_qkwargs = {{"dtype", "int16"}}}), .march = March::nash});
  set_ranges(ends);
  CHECK(all(warnings(ends)) ==
        all({"conv#2: this output of the network stays int16, as other layers read it; only accumulators are of high "
             "precision",
             "conv: this output of the network stays int16, as it ends in a relu; only accumulators are of high "
             "precision",
             "conv#3: this output of the network stays int16, as something is added to it; only accumulators are of "
             "high precision"}));
  CHECK(all(notes(ends)) == all({"conv, conv#2, conv#3: calls of one layer; each has an activation scale of its own"}));
}

TEST_CASE("what notes say holds: scales that there are, readers that read, values that were 0") {
  struct Heads : Calls {
    std::vector<Tensor> forward_all(std::span<const Tensor> x) const override { return {conv(x[0]), conv(relu(x[0]))}; }
    const std::type_info& members_listed_by() const override { return typeid(Heads); }
  };
  const std::string high = "conv, conv#2: of high precision, int32 accumulators as float32";
  CHECK(all(notes(prepare_qat(test::randomized(Heads{}), kExample))) ==
        all({"conv, conv#2: calls of one layer", high}));
  // Where one call stays float, it has no scale either.
  CHECK(all(notes(prepare_qat(test::randomized(Heads{}), kExample, {.by_path = {{"conv#1", run_in_float()}}}))) ==
        all({"conv, conv#2: calls of one layer", "conv#2: of high precision, int32 accumulators as float32",
             "conv: in float, on the CPU: what is computed from there on may differ between instruction sets"}));

  struct Shown : Calls {
    std::vector<Tensor> forward_all(std::span<const Tensor> x) const override {
      const Tensor y = conv(x[0]);
      return {relu(y), y};
    }
    const std::type_info& members_listed_by() const override { return typeid(Shown); }
  };
  PreparedModel shown = prepare_qat(test::randomized(Shown{}), kExample);
  set_ranges(shown);
  CHECK(warnings(shown)[0] == "relu: this relu was not fused, as conv is an output of the network, too");

  const auto dead = [](double low, float value) {
    const QConfig clip =
        get_default_qconfig({.activation_observer = "clip", .activation_qkwargs = {{"min", low}, {"max", 1.0}}});
    PreparedModel fresh = prepare_qat(test::small_net(), kExample, {.by_path = {{"input", clip}}});
    fresh.input_quantizer(0).observe(Samples(Tensor::full({4}, value)));
    const Lines lines = warnings(fresh);
    for (const std::string& line : lines)
      if (line.starts_with("input: ") && line.find(" 0") != std::string::npos) return line;
    return std::string();
  };
  CHECK(dead(-1, 0) == "input: all its values were 0");
  CHECK(dead(0, -3) == "input: its observer clips all of its values to 0");
}

TEST_CASE("parameters that came apart, and float regions, are noted") {
  struct Net : Calls {
    Tensor forward(const Tensor& x) const override {
      return call(test::Square{}, relu(second(conv(relu(first(conv(x)))))));
    }
    const std::type_info& members_listed_by() const override { return typeid(Net); }
  };
  const PreparedModel model = prepare_qat(test::randomized(Net{}), kExample, {.by_type = {{"square", run_in_float()}}});
  CHECK(all(notes(model)) ==
        all({"conv.weight: one parameter in the float network, but conv.weight, conv#2.weight here, which are trained "
             "apart, as different batch normalisations are folded into them",
             "square: in float, on the CPU: what is computed from there on may differ between instruction sets"}));
  CHECK(warnings(model).size() == 1);  // not observed
}

TEST_CASE("learned scales are not warned of as the observer's") {
  PreparedModel model =
      healthy({.qconfig = get_default_qconfig({.activation_fake_quant = "lsq"}), .march = March::bernoulli});
  model.node_quantizer(0)->observe(Samples(Tensor::full({1}, 20000)));
  CHECK(all(saturation_warnings(model)) == all({}));
}

TEST_CASE("learned scales that fell to the smallest one are warned of") {
  PreparedModel model =
      healthy({.qconfig = get_default_qconfig({.activation_fake_quant = "lsq", .weight_fake_quant = "lsq"})});
  model(images({2, 8, 8, 3}));
  CHECK(warnings(model) == Lines{});
  Tensor scale =
             model.node_quantizer(static_cast<size_t>(model.graph().find("body.1.shortcut.conv")))->learned.tensor(),
         weights = model.weight_quantizer(static_cast<size_t>(model.graph().find("head")))->learned.tensor();
  scale.mutable_data<float>()[0] = -0.5f;
  weights.mutable_data<float>()[2] = kMinScale;
  CHECK(all(warnings(model)) ==
        all({"body.1.shortcut.conv: its learned scale fell to the smallest that there is; give learned scales a lower "
             "rate, or "
             "use fake_quant here",
             "head: the learned scale of the weights of 1 of 5 output channels (2) fell to the smallest that there is; "
             "give learned scales a lower rate, or use fake_quant here"}));
}

TEST_CASE("rescalings whose integers are coarse are warned of") {
  struct Net : nn::Module {
    nn::Conv2d conv{{.in = 2, .out = 2, .kernel = 1, .bias = false}};
    SINTER_CHILDREN(conv)
    Tensor forward(const Tensor& x) const override { return conv(x) + x; }
  };
  Net net;
  net.conv.weight.tensor().copy_from(Tensor::from({2, 1, 1, 2}, {1, 0.5f, 100, 50}));
  const auto coarse = [&](const PrepareOptions& options) {
    PreparedModel model = prepare_qat(net, Tensor::zeros({1, 2, 2, 2}), options);
    set_ranges(model);
    std::string found;
    for (const std::string& line : warnings(model))
      if (line.find("multiplier") != std::string::npos || line.find("shift") != std::string::npos) found += line + "\n";
    return found;
  };
  // k = s_skip / (s_x s_w), with s_skip = s_x: 127.5 for the first channel, 1.3 for the second.
  CHECK(
      coarse({.march = March::bayes}) ==
      "conv: the residual's multiplier, an integer, is below 64: its scale is small beside the accumulators', in 1 of "
      "2 output channels (1)\n");
  CHECK(coarse({.march = March::nash}).empty());
  net.conv.weight.tensor().copy_from(Tensor::from({2, 1, 1, 2}, {0.01f, 0.005f, 0.02f, 0.01f}));
  const PrepareOptions wide{
      .by_path = {{"conv.activation", get_default_qconfig({.activation_qkwargs = {{"dtype", "int16"}}})}},
      .march = March::bayes};
  CHECK(coarse(wide).find("conv: the first shift drops bits that an output of 16 bits has room for") == 0);
}

TEST_CASE("weights that are small beside the smallest scale of their march are warned of") {
  struct Net : nn::Module {
    nn::Conv2d conv{{.in = 2, .out = 3, .kernel = 1, .bias = false}};
    SINTER_CHILDREN(conv)
    Tensor forward(const Tensor& x) const override { return conv(x); }
  };
  Net net;
  // The smallest scale is 2^-14: 127 integers reach 0.0078, these 0.00049 (8 of them), 0.0011 (18 of them) and 1.
  net.conv.weight.tensor().copy_from(Tensor::from({3, 1, 1, 2}, {0.00049f, 0, 0.0011f, 0.0005f, 1, 0.5f}));
  const auto coarse = [&](const March& march) {
    PreparedModel model = prepare_qat(net, Tensor::zeros({1, 2, 2, 2}), {.march = march});
    set_ranges(model);
    std::string found;
    for (const std::string& line : warnings(model))
      if (line.find("smallest scale") != std::string::npos) found += line + "\n";
    return found;
  };
  CHECK(coarse(March::bernoulli) ==
        "conv: the weights of 1 of 3 output channels (0) are small beside the smallest scale of bernoulli, "
        "6.1035156e-05, and most of their integers are unused; rescale the layer's channels (quant::equalize)\n");
  CHECK(coarse(March::bayes).empty());
}
