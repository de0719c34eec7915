#include "../../../quant/post_training/equalize.h"

#include "../../../examples/hostile.h"
#include "networks.h"

using namespace sinter;
using namespace sinter::quant;
using test::float_output;
using test::parameter;

namespace {

const Tensor kExample = Tensor::zeros({1, 8, 8, 3});
using Names = std::vector<std::string>;

// Largest magnitude over all weights [O,...,I] of output channel `o` (-1: of any) and input channel `i` (-1: of any).
double range(const Tensor& weight, int64_t o, int64_t i) {
  const int64_t each = weight.elements() / weight.size(0), in = weight.size(weight.rank() - 1);
  double most = 0;
  for (int64_t k = 0; k < weight.elements(); ++k)
    if ((o < 0 || k / each == o) && (i < 0 || k % in == i))
      most = std::max(most, std::abs(double{weight.data<float>()[k]}));
  return most;
}

double relative(double a, double b) { return std::abs(a / b - 1); }

struct TwoLayers : nn::Module {
  nn::Conv2d first{{.in = 3, .out = 4, .kernel = 3, .padding = 1}};
  nn::Conv2d second{{.in = 4, .out = 5, .kernel = 3}};
  SINTER_CHILDREN(first, second)
  Tensor forward(const Tensor& x) const override { return second(relu(first(x))); }
};

// The parameters of a layer whose channels are far apart.
template <class Model>
Model uneven(Model model) {
  examples::make_hostile(model, kExample, {.decades = 4, .seed = 7});
  return model;
}

}  // namespace

TEST_CASE("between two layers each channel's ranges meet in their geometric mean") {
  const TwoLayers model = uneven(test::randomized(TwoLayers{}));
  PreparedModel prepared = prepare_qat(model, kExample);
  const EqualizeReport report = equalize(prepared, {.tolerance = 1e-6});
  CHECK(report.converged);
  CHECK(report.iterations == 2);
  const Tensor first = parameter(prepared, "first.weight"), second = parameter(prepared, "second.weight"),
               bias = parameter(prepared, "first.bias");
  for (int64_t c = 0; c < 4; ++c) {
    const double r1 = range(model.first.weight, c, -1), r2 = range(model.second.weight, -1, c);
    const double s = std::sqrt(r1 * r2) / r2;
    CHECK(relative(range(first, c, -1), std::sqrt(r1 * r2)) < 1e-6);
    CHECK(relative(range(second, -1, c), std::sqrt(r1 * r2)) < 1e-6);
    CHECK(relative(bias.at({c}), model.first.bias.tensor().at({c}) / s) < 1e-6);
    for (int64_t k = 0; k < 27; ++k)
      CHECK(relative(first.data<float>()[c * 27 + k], model.first.weight.tensor().data<float>()[c * 27 + k] / s) <
            1e-6);
    for (int64_t k = c; k < second.elements(); k += 4)
      CHECK(relative(second.data<float>()[k], model.second.weight.tensor().data<float>()[k] * s) < 1e-6);
  }
  CHECK_SAME(parameter(prepared, "second.bias"), model.second.bias);
}

TEST_CASE("convolution, depthwise, convolution: the three ranges of a channel meet in their cube root") {
  struct Net : nn::Module {
    nn::Conv2d first{{.in = 3, .out = 4, .kernel = 1}}, depthwise{{.in = 4, .out = 4, .kernel = 3, .groups = 4}},
        last{{.in = 4, .out = 2, .kernel = 1}};
    SINTER_CHILDREN(first, depthwise, last)
    Tensor forward(const Tensor& x) const override { return last(relu(depthwise(relu(first(x))))); }
  };
  const Net model = uneven(test::randomized(Net{}));
  PreparedModel prepared = prepare_qat(model, kExample);
  CHECK(equalize(prepared, {.tolerance = 1e-6}).converged);
  for (int64_t c = 0; c < 4; ++c) {
    const double mean = std::cbrt(range(model.first.weight, c, -1) * range(model.depthwise.weight, c, -1) *
                                  range(model.last.weight, -1, c));
    CHECK(relative(range(parameter(prepared, "first.weight"), c, -1), mean) < 1e-5);
    CHECK(relative(range(parameter(prepared, "depthwise.weight"), c, -1), mean) < 1e-5);
    CHECK(relative(range(parameter(prepared, "last.weight"), -1, c), mean) < 1e-5);
  }
}

TEST_CASE("grouped convolutions read the channels of their group") {
  struct Net : nn::Module {
    nn::Conv2d first{{.in = 3, .out = 6, .kernel = 1}}, grouped{{.in = 6, .out = 4, .kernel = 1, .groups = 2}};
    SINTER_CHILDREN(first, grouped)
    Tensor forward(const Tensor& x) const override { return grouped(relu(first(x))); }
  };
  const Net model = uneven(test::randomized(Net{}));
  PreparedModel prepared = prepare_qat(model, kExample);
  equalize(prepared);
  const Tensor before = model.grouped.weight, after = parameter(prepared, "grouped.weight");
  for (int64_t c = 0; c < 6; ++c) {
    double r2 = 0;
    for (int64_t o = c / 3 * 2; o < c / 3 * 2 + 2; ++o) r2 = std::max(r2, range(before, o, c % 3));
    const double r1 = range(model.first.weight, c, -1);
    CHECK(relative(range(parameter(prepared, "first.weight"), c, -1), std::sqrt(r1 * r2)) < 1e-6);
    for (int64_t o = c / 3 * 2; o < c / 3 * 2 + 2; ++o)
      CHECK(relative(range(after, o, c % 3), range(before, o, c % 3) * std::sqrt(r1 / r2)) < 1e-6);
  }
}

TEST_CASE("channels that are added have one divisor, from the largest ranges of all that make and read them") {
  struct Net : nn::Module {
    nn::Conv2d stem{{.in = 3, .out = 4, .kernel = 1}}, block{{.in = 4, .out = 4, .kernel = 1}};
    nn::Linear head{{.in = 4, .out = 3}};
    SINTER_CHILDREN(stem, block, head)
    Tensor forward(const Tensor& x) const override {
      const Tensor y = relu(stem(x));
      return head(mean(relu(block(y) + y), {1, 2}));
    }
  };
  const Net model = uneven(test::randomized(Net{}));
  PreparedModel prepared = prepare_qat(model, kExample);
  CHECK(equalize(prepared, {.tolerance = 1e-7}).converged);
  const Tensor stem = parameter(prepared, "stem.weight"), block = parameter(prepared, "block.weight"),
               head = parameter(prepared, "head.weight");
  const auto divisor = [&](const char* name, const Parameter& before, int64_t c) {
    return before.tensor().at({c}) / parameter(prepared, name).at({c});
  };
  for (int64_t c = 0; c < 4; ++c) {
    CHECK(relative(divisor("stem.bias", model.stem.bias, c), divisor("block.bias", model.block.bias, c)) < 1e-5);
    // What block makes of the channel itself, on its diagonal, stays whatever the divisor is.
    double made = range(stem, c, -1), read = range(head, -1, c);
    for (int64_t other = 0; other < 4; ++other) {
      if (other == c) continue;
      made = std::max(made, range(block, c, other));
      read = std::max(read, range(block, other, c));
    }
    CHECK(relative(made, read) < 1e-5);
    CHECK(relative(range(block, c, c), range(model.block.weight, c, c)) < 1e-5);
  }
}

TEST_CASE("the float function stays the same, and ratios fall") {
  const auto check_function = [](const nn::Module& model) {
    const Tensor x = test::images({16, 8, 8, 3});
    PreparedModel prepared = prepare_qat(model, kExample);
    const Tensor expected = float_output(prepared, x);
    const EqualizeReport report = equalize(prepared);
    CHECK_CLOSE(float_output(prepared, x), expected, 1e-4, 1e-5);
    CHECK(report.converged);
    for (const EqualizedLayer& layer : report.layers) {
      CAPTURE(layer.name);
      CHECK(layer.scaled == (layer.name == "head" ? 0 : layer.outputs));
      CHECK(layer.skipped == (layer.name == "head" ? "an output of the network" : ""));
      if (layer.name != "head") CHECK(layer.output_ratio < layer.output_ratio_before / 10);
      if (layer.name != "stem") CHECK(layer.input_ratio < layer.input_ratio_before / 10);
    }
  };
  check_function(uneven(test::small_net()));
  check_function(uneven(test::randomized(test::ChainNet{})));
  check_function(uneven(test::randomized(test::InvertedNet{})));
}

TEST_CASE("a channel that is added to many, from either side, is scaled with all of them") {
  struct Net : nn::Module {
    nn::Conv2d first{{.in = 3, .out = 4, .kernel = 1}}, many{{.in = 4, .out = 8, .kernel = 1}},
        one{{.in = 4, .out = 1, .kernel = 1}}, last{{.in = 8, .out = 2, .kernel = 1}};
    bool swapped = false;
    SINTER_CHILDREN(first, many, one, last)
    Tensor forward(const Tensor& x) const override {
      const Tensor y = relu(first(x));
      return last(relu(swapped ? one(y) + many(y) : many(y) + one(y)));
    }
  };
  const Tensor x = test::images({2, 8, 8, 3});
  for (const bool swapped : {false, true}) {
    Net model = test::randomized(Net{});
    model.swapped = swapped;
    for (float& w : std::span(model.last.weight.tensor().mutable_data<float>(), 16)) w *= 100;
    PreparedModel prepared = prepare_qat(model, kExample);
    const Tensor expected = float_output(prepared, x);
    const EqualizeReport report = equalize(prepared);
    CHECK_CLOSE(float_output(prepared, x), expected, 1e-4, 1e-4);
    CHECK(report.converged);
    for (const EqualizedLayer& layer : report.layers) CHECK(layer.scaled == (layer.name == "last" ? 0 : layer.outputs));
    const Tensor many = parameter(prepared, "many.bias"), one = parameter(prepared, "one.bias");
    const double divisor = model.one.bias.tensor().at({0}) / one.at({0});
    CHECK(divisor < 0.5);
    for (int64_t c = 0; c < 8; ++c) CHECK(relative(model.many.bias.tensor().at({c}) / many.at({c}), divisor) < 1e-5);
  }
}

namespace {

// Two convolutions with a depthwise one between them.
struct WithDepthwise : nn::Module {
  nn::Conv2d first{{.in = 3, .out = 6, .kernel = 1}},
      middle{{.in = 6, .out = 6, .kernel = 3, .padding = 1, .groups = 6}};
  nn::Conv2d last{{.in = 6, .out = 4, .kernel = 1}};
  SINTER_CHILDREN(first, middle, last)
  Tensor forward(const Tensor& x) const override { return last(relu(middle(relu(first(x))))); }
};

// A residual block, normalised, between two convolutions.
struct WithBlock : nn::Module {
  nn::Conv2d first{{.in = 3, .out = 6, .kernel = 3, .padding = 1}}, last{{.in = 6, .out = 4, .kernel = 1}};
  nn::BasicBlock block{{.in = 6, .out = 6}};
  SINTER_CHILDREN(first, block, last)
  Tensor forward(const Tensor& x) const override { return last(block(relu(first(x)))); }
};

}  // namespace

TEST_CASE(
    "neighbours around a ReLU, a depthwise convolution and a residual block come closer, and nothing else changes") {
  // Whose output channels, and whose input channels.
  using Pairs = std::vector<std::pair<std::string, std::string>>;
  const auto check_pairs = [](const nn::Module& model, const Pairs& pairs) {
    PreparedModel prepared = prepare_qat(model, kExample);
    const PreparedModel before = prepared;
    equalize(prepared);
    const Tensor x = test::images({8, 8, 8, 3}, 3);
    const Tensor expected = float_output(before, x), found = float_output(prepared, x);
    double largest = 0, power = 0, error = 0;
    for (int64_t i = 0; i < expected.elements(); ++i) {
      const double v = expected.data<float>()[i], e = found.data<float>()[i] - v;
      largest = std::max(largest, std::abs(e));
      power += v * v;
      error += e * e;
    }
    CHECK(std::sqrt(error) < 1e-6 * std::sqrt(power));
    CHECK(largest < 1e-5 * std::sqrt(power / static_cast<double>(expected.elements())));
    const auto ratio = [](const Tensor& weight, bool outputs) {
      std::vector<double> ranges;
      for (int64_t c = 0; c < weight.size(outputs ? 0 : weight.rank() - 1); ++c)
        ranges.push_back(outputs ? range(weight, c, -1) : range(weight, -1, c));
      return *std::max_element(ranges.begin(), ranges.end()) / *std::min_element(ranges.begin(), ranges.end());
    };
    for (const auto& pair : pairs) {
      CAPTURE(pair.first);
      CAPTURE(pair.second);
      const std::string from = pair.first + ".weight", to = pair.second + ".weight";
      CHECK(ratio(parameter(before, from), true) > 10);
      CHECK(ratio(parameter(prepared, from), true) < ratio(parameter(before, from), true) / 5);
      // A depthwise convolution reads what it makes.
      const bool depthwise = pair.second == "middle";
      CHECK(ratio(parameter(prepared, to), depthwise) < ratio(parameter(before, to), depthwise) / 5);
    }
  };
  check_pairs(uneven(test::randomized(TwoLayers{})), {{"first", "second"}});
  check_pairs(uneven(test::randomized(WithDepthwise{})), {{"first", "middle"}, {"middle", "last"}});
  check_pairs(uneven(test::randomized(WithBlock{})),
              {{"first", "block.conv1"}, {"block.conv1", "block.conv2"}, {"block.conv2", "last"}});
}

TEST_CASE("channels at the network's ends stay") {
  const TwoLayers model = uneven(test::randomized(TwoLayers{}));
  PreparedModel prepared = prepare_qat(model, kExample);
  equalize(prepared);
  const Tensor &before = model.first.weight, after = parameter(prepared, "first.weight");
  for (int64_t o = 0; o < 4; ++o)
    for (int64_t i = 0; i < 3; ++i)
      CHECK(relative(range(after, o, i) / range(before, o, i), range(after, o, 0) / range(before, o, 0)) < 1e-6);
}

TEST_CASE("layers around a ReLU6 stay to the bit, unless it may become a ReLU") {
  struct Net : nn::Module {
    nn::Conv2d first{{.in = 3, .out = 4, .kernel = 1}}, second{{.in = 4, .out = 4, .kernel = 1}},
        third{{.in = 4, .out = 4, .kernel = 1}}, last{{.in = 4, .out = 2, .kernel = 1}};
    bool six = true;
    SINTER_CHILDREN(first, second, third, last)
    Tensor forward(const Tensor& x) const override {
      const auto clip = [this](const Tensor& v) { return six ? relu6(v) : relu(v); };
      const Tensor y = relu(second(clip(first(x)))), sum = y + y;
      return last(relu(third(clip(sum))));
    }
  };
  Net model = test::randomized(Net{});
  model.six = false;
  model = uneven(model);
  const Tensor x = test::images({2, 8, 8, 3}, 1, 20);
  PreparedModel plain = prepare_qat(model, kExample);
  const Tensor unclipped = float_output(plain, x);
  model.six = true;
  PreparedModel prepared = prepare_qat(model, kExample);
  const Tensor expected = float_output(prepared, x);
  CHECK(test::difference(expected, unclipped, 1e-2, 1e-2) != "");

  EqualizeReport report = equalize(prepared);
  CHECK(report.replaced_relu6.empty());
  CHECK_CLOSE(float_output(prepared, x), expected, 1e-4, 1e-4);
  for (const char* name : {"first.weight", "first.bias", "second.weight", "second.bias"})
    CHECK_SAME(parameter(prepared, name), parameter(prepare_qat(model, kExample), name));
  REQUIRE(report.layers.size() == 4);
  CHECK(report.layers[0].skipped == "the ReLU6 of first");
  CHECK(report.layers[0].scaled == 0);
  CHECK(report.layers[1].skipped == "the ReLU6 relu6#2");
  CHECK(report.layers[2].scaled == 4);

  PreparedModel relaxed = prepare_qat(model, kExample);
  report = equalize(relaxed, {.replace_relu6 = true});
  CHECK(report.replaced_relu6 == Names{"first", "relu6#2"});
  CHECK(report.layers[0].scaled == 4);
  CHECK_CLOSE(float_output(relaxed, x), unclipped, 1e-4, 1e-4);
  CHECK(to_string(report).find("ReLU6 became ReLU: first, relu6#2\n") != std::string::npos);
  CHECK_ERROR(relaxed.replace_relu6(0), "replace_relu6: first has no ReLU6");
}

TEST_CASE("channels that nothing makes or nothing reads stay to the bit") {
  TwoLayers model = uneven(test::randomized(TwoLayers{}));
  for (int64_t k = 0; k < 27; ++k) model.first.weight.tensor().mutable_data<float>()[27 + k] = 0;
  model.first.bias.tensor().mutable_data<float>()[1] = 0;
  for (int64_t k = 2; k < model.second.weight.tensor().elements(); k += 4)
    model.second.weight.tensor().mutable_data<float>()[k] = 0;
  PreparedModel prepared = prepare_qat(model, kExample);
  const EqualizeReport report = equalize(prepared);
  CHECK(report.layers[0].scaled == 2);
  const Tensor first = parameter(prepared, "first.weight"), second = parameter(prepared, "second.weight");
  for (int64_t k = 0; k < 27; ++k)
    CHECK(first.data<float>()[54 + k] == model.first.weight.tensor().data<float>()[54 + k]);
  CHECK(parameter(prepared, "first.bias").at({2}) == model.first.bias.tensor().at({2}));
  for (int64_t k = 1; k < second.elements(); k += 4)
    CHECK(second.data<float>()[k] == model.second.weight.tensor().data<float>()[k]);
}

TEST_CASE("a nearly dead channel with a bias does not fill its tensor's range") {
  TwoLayers model = test::randomized(TwoLayers{});
  for (int64_t k = 0; k < 27; ++k) model.first.weight.tensor().mutable_data<float>()[27 + k] *= 1e-8f;
  model.first.bias.tensor().mutable_data<float>()[1] = 0.3f;
  PreparedModel prepared = prepare_qat(model, kExample);
  equalize(prepared);
  const double r2 = range(model.second.weight, -1, 1), s = std::sqrt(double{0.3f} / 64 * r2) / r2;
  CHECK(relative(parameter(prepared, "first.bias").at({1}), 0.3 / s) < 1e-6);
}

TEST_CASE("tensors with a fixed scale or a clip keep their channels, and so do layers with such weights") {
  const TwoLayers model = uneven(test::randomized(TwoLayers{}));
  const auto check_skipped = [&](const QConfig& qconfig, const std::string& path, const std::string& reason) {
    PreparedModel prepared = prepare_qat(model, kExample, {.by_path = {{path, qconfig}}});
    const EqualizeReport report = equalize(prepared);
    CHECK(report.layers[0].skipped == reason);
    for (const char* name : {"first.weight", "first.bias"})
      CHECK_SAME(parameter(prepared, name), parameter(prepare_qat(model, kExample), name));
  };
  const Keywords scale{{"scale", 0.02}}, max{{"max", 0.5}};
  check_skipped(get_default_qconfig({.activation_observer = "fixed_scale", .activation_qkwargs = scale}), "first",
                "the fixed scale of first");
  check_skipped(get_default_qconfig({.activation_observer = "clip", .activation_qkwargs = max}), "first",
                "the clip of first");
  check_skipped(get_default_qconfig({.weight_observer = "fixed_scale", .weight_qkwargs = scale}), "first.weight",
                "the fixed scale of first's weights");
  check_skipped(get_default_qconfig({.weight_observer = "clip", .weight_qkwargs = max}), "second.weight",
                "the clip of second's weights");
}

TEST_CASE("the report has the ratios of the weights before and after") {
  const test::ChainNet model = uneven(test::randomized(test::ChainNet{}));
  PreparedModel prepared = prepare_qat(model, kExample);
  const PreparedModel before = prepared;
  const EqualizeReport report = equalize(prepared);
  const auto ratio = [](const Tensor& weight, bool outputs) {
    double least = INFINITY, most = 0;
    for (int64_t c = 0; c < weight.size(outputs ? 0 : weight.rank() - 1); ++c) {
      const double r = outputs ? range(weight, c, -1) : range(weight, -1, c);
      least = std::min(least, r);
      most = std::max(most, r);
    }
    return most / least;
  };
  REQUIRE(report.layers.size() == 5);
  for (const EqualizedLayer& layer : report.layers) {
    CAPTURE(layer.name);
    const Tensor was = parameter(before, layer.name + ".weight"), is = parameter(prepared, layer.name + ".weight");
    CHECK(relative(layer.output_ratio_before, ratio(was, true)) < 1e-6);
    CHECK(relative(layer.output_ratio, ratio(is, true)) < 1e-5);
    if (layer.name == "depthwise" || layer.name == "grouped") continue;
    CHECK(relative(layer.input_ratio_before, ratio(was, false)) < (layer.name == "hidden" ? INFINITY : 1e-6));
    CHECK(relative(layer.input_ratio, ratio(is, false)) < (layer.name == "hidden" ? INFINITY : 1e-5));
  }
  const std::string table = to_string(report);
  CHECK(table.find("an output of the network\n") != std::string::npos);
  CHECK(table.find("\ngrouped ") != std::string::npos);
  CHECK(table.find("converged") == std::string::npos);
}

TEST_CASE("iterations end at their limit, which the report says") {
  PreparedModel prepared = prepare_qat(uneven(test::randomized(test::ChainNet{})), kExample);
  const EqualizeReport report = equalize(prepared, {.iterations = 1});
  CHECK_FALSE(report.converged);
  CHECK(report.iterations == 1);
  CHECK(to_string(report).find("not converged after 1 iterations\n") != std::string::npos);
}

TEST_CASE("equalising twice changes nothing more") {
  PreparedModel prepared = prepare_qat(uneven(test::small_net()), kExample);
  equalize(prepared, {.tolerance = 1e-6});
  const Tensor once = parameter(prepared, "body.0.conv1.weight").clone();
  equalize(prepared, {.tolerance = 1e-6});
  CHECK_CLOSE(parameter(prepared, "body.0.conv1.weight"), once, 1e-4, 0);
}

TEST_CASE("equalize wants a model that has observed nothing, finite parameters and sensible options") {
  PreparedModel prepared = prepare_qat(test::small_net(), kExample);
  const Tensor before = parameter(prepared, "stem.weight").clone();
  CHECK_ERROR(equalize(prepared, {.iterations = 0}), "equalize: iterations is 0");
  CHECK_ERROR(equalize(prepared, {.tolerance = -1}), "tolerance -1");
  set_fake_quantize(prepared, FakeQuantState::calibration);
  prepared(test::images({2, 8, 8, 3}));
  CHECK_ERROR(equalize(prepared), "equalize: input was observed already");
  CHECK_SAME(parameter(prepared, "stem.weight"), before);

  for (const char* name : {"stem.weight", "stem.bias"}) {
    PreparedModel broken = prepare_qat(test::small_net(), kExample);
    parameter(broken, name).mutable_data<float>()[1] = NAN;
    CHECK_ERROR(equalize(broken), text("equalize: a value of ", std::string(name), " is nan"));
  }
}
