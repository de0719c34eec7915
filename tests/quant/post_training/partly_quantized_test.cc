#include "../../../quant/post_training/partly_quantized.h"

#include "../../../quant/lower.h"
#include "networks.h"

using namespace sinter;
using namespace sinter::quant;
using test::images;

namespace {

const Tensor kExample = Tensor::zeros({1, 8, 8, 3});
using Values = std::map<std::string, Tensor>;

QConfig typed(const std::string& activation, const std::string& weight, const std::string& fake_quant = "fake_quant") {
  return get_default_qconfig({.activation_fake_quant = fake_quant,
                              .weight_fake_quant = fake_quant,
                              .activation_qkwargs = {{"dtype", activation}},
                              .weight_qkwargs = {{"dtype", weight}}});
}

PreparedModel calibrated(const nn::Module& model, const PrepareOptions& options = {}) {
  PreparedModel prepared = prepare_qat(model, kExample, options);
  set_fake_quantize(prepared, FakeQuantState::calibration);
  const NoGrad no_grad;
  prepared(images({8, 8, 8, 3}, 5));
  set_fake_quantize(prepared, FakeQuantState::validation);
  return prepared;
}

// What every node gives, by name.
Values run(const Graph& graph, const Tensor& x) {
  const NoGrad no_grad;
  const TrainingMode evaluation(false);
  Values values{{"input", x}};
  graph.run({x},
            [&](size_t i, const std::vector<Tensor>& outputs) { values[graph.nodes[i].name] = outputs[0].clone(); });
  return values;
}

// Every layer of the program, given what the layers before it gave here, gives what it gives here: to one unit, where a
// value lies between two integers, and mostly the same.
void check_integers(const PreparedModel& model) {
  const Tensor x = images({6, 8, 8, 3}, 6, 1.1);
  const PartlyQuantized parts("test", model);
  Values real = run(parts.graph(parts.all()), x);
  const IntegerProgram program = lower(model);
  // What the program has as integers, or has made real numbers of again, is rounded here.
  for (const Value& value : program.values) {
    std::string name = value.name;
    for (const std::string suffix : {".quantized", ".real"})
      if (name.ends_with(suffix)) name.erase(name.size() - suffix.size());
    const auto rounded = real.find(name + ".rounded");
    if (value.is_integer() || name != value.name)
      real[value.name] = rounded == real.end() ? real[name] : rounded->second;
  }
  size_t compared = 0;
  model.inspect_alone(real, [&](const std::string& node, const Tensor& found) {
    CAPTURE(node);
    const auto at = std::find_if(program.values.begin(), program.values.end(),
                                 [&](const Value& value) { return value.name == node; });
    const Tensor expected = dequantize(program, static_cast<int>(at - program.values.begin()), found);
    ++compared;
    if (!real.contains(node)) return;  // dequantised for an operation in float
    const Tensor& mine = real[node];
    if (!at->is_integer()) {
      CHECK_CLOSE(mine, expected, 1e-4, 1e-5);
      return;
    }
    int64_t other = 0;
    for (int64_t i = 0; i < mine.elements(); ++i) {
      const float difference = std::abs(mine.data<float>()[i] - expected.data<float>()[i]);
      REQUIRE(difference < 1.001f * at->scale);
      other += difference > 0.5f * at->scale;
    }
    // Halves are frequent between few integers; multipliers of 15 bits are coarse beside 16.
    CHECK(other <= 3 + mine.elements() / (at->bits == 16 ? 10 : 30));
  });
  CHECK(compared == program.instructions.size());
}

}  // namespace

TEST_CASE("with everything quantised, every layer computes what the integers do") {
  for (const March& march : {March::nash, March::bernoulli})
    for (const char* batch_norm : {"fuse_bn", "with_bn"})
      for (const QConfig& qconfig :
           {get_default_qconfig(), typed("int8", "int4", "lsq"), typed("int4", "int2", "pact")}) {
        // Ties are frequent where all scales are powers of two.
        const PrepareOptions options{.qconfig = qconfig,
                                     .batch_norm = batch_norm,
                                     .march = march,
                                     .rounding = march == March::bernoulli ? "bpu_round" : "half_to_even"};
        check_integers(calibrated(test::small_net(), options));
        check_integers(calibrated(test::randomized(test::EveryLayer{}), options));
        check_integers(calibrated(test::randomized(test::InvertedNet{}), options));
        check_integers(calibrated(test::randomized(test::UpNet{}), options));
      }
  check_integers(
      calibrated(test::small_net(), {.by_path = {{"body.0", typed("int16", "int8")}}, .march = March::nash}));
}

TEST_CASE("float regions stay float, and read what is float unrounded") {
  check_integers(calibrated(test::small_net(), {.by_path = {{"body.0.conv1", run_in_float()}, {"stem", run_in_float()}},
                                                .march = March::nash}));
  check_integers(calibrated(test::randomized(test::EveryLayer{}),
                            {.by_path = {{"depthwise", run_in_float()}, {"hidden", run_in_float()}}}));
}

TEST_CASE("units are inputs and nodes with integers of their own, in order") {
  const auto names = [](const PreparedModel& model) {
    std::vector<std::string> all;
    const PartlyQuantized parts("test", model);
    for (const auto& unit : parts.units()) all.push_back(unit.name);
    return all;
  };
  using Names = std::vector<std::string>;
  CHECK(names(calibrated(test::randomized(test::EveryLayer{}))) ==
        Names{"input", "stem", "depthwise", "add", "add#2", "grouped", "wide", "hidden", "head"});
  CHECK(names(calibrated(test::small_net(), {.by_path = {{"head", run_in_float()}, {"stem", run_in_float()}}})) ==
        Names{"stem", "body.0.conv1", "body.0.conv2", "body.1.conv1", "body.1.conv2", "body.1.shortcut.conv", "mean"});
}

TEST_CASE("a unit alone changes nothing before it, and its own output lies on its grid") {
  const PreparedModel model = calibrated(test::randomized(test::ChainNet{}));
  const PartlyQuantized parts("test", model);
  const Tensor x = images({3, 8, 8, 3}, 7);
  const Values in_float = run(parts.graph(parts.none()), x);
  CHECK_SAME(in_float.at("head"), run(model.graph(), x).at("head"));
  for (size_t i = 0; i < parts.units().size(); ++i) {
    const auto& unit = parts.units()[i];
    CAPTURE(unit.name);
    Values values = run(parts.graph(parts.only(i)), x);
    for (size_t k = 0; k < i; ++k) CHECK_SAME(values[parts.units()[k].name], in_float.at(parts.units()[k].name));
    CHECK(test::difference(values["head"], in_float.at("head"), 0, 0) != "");
    CHECK_CLOSE(values["head"], in_float.at("head"), 0.05, 0.05);
    if (!unit.grid) continue;
    bool whole = true;
    for (const float v : values[unit.name + ".rounded"].values<float>()) {
      const double q = static_cast<double>(v) / unit.grid->scale;
      whole = whole && std::abs(q - std::round(q)) < 1e-4 && q > unit.grid->bounds.low - 0.5 &&
              q < unit.grid->bounds.high + 0.5;
    }
    CHECK(whole);
  }
}

TEST_CASE("calls of one layer are units of their own") {
  struct Twice : nn::Module {
    nn::Conv2d conv{{.in = 3, .out = 3, .kernel = 3, .padding = 1}};
    SINTER_CHILDREN(conv)
    Tensor forward(const Tensor& x) const override { return conv(relu(conv(x))); }
  };
  const PreparedModel model = calibrated(test::randomized(Twice{}), {.qconfig = typed("int8", "int4")});
  check_integers(model);
  const PartlyQuantized parts("test", model);
  const Tensor x = images({2, 8, 8, 3}, 8);
  const Values in_float = run(parts.graph(parts.none()), x), first = run(parts.graph(parts.only(1)), x),
               second = run(parts.graph(parts.only(2)), x);
  CHECK(test::difference(first.at("conv"), in_float.at("conv"), 0, 0) != "");
  CHECK_SAME(second.at("conv"), in_float.at("conv"));
  CHECK(test::difference(second.at("conv#2"), in_float.at("conv#2"), 0, 0) != "");
}

TEST_CASE("it wants a calibrated model") {
  CHECK_ERROR(PartlyQuantized("sensitivity", prepare_qat(test::small_net(), kExample)),
              "sensitivity: nothing was observed for input, stem");
}
