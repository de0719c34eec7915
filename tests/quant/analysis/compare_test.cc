#include "../../../quant/analysis/compare.h"

#include <cmath>
#include <limits>

#include "../../../core/parallel.h"
#include "../../../quant/analysis/report.h"
#include "stages.h"

using namespace sinter;
using namespace sinter::quant;
using test::each;
using test::FakeStage;
using test::rounded;
using test::same;
using test::TensorDataset;

namespace {

constexpr float kScale = 0.0625f;
constexpr double kInfinity = std::numeric_limits<double>::infinity();

float tripled(float v) { return 3 * v; }

FakeStage float_net() {
  return {"float", {{{.node = "input", .input = true}, same}, {{.node = "layer", .output = true}, each(tripled)}}};
}

// The input is rounded, and the layer saturates at +-4.
FakeStage integer_net(const Bounds& bounds = {-64, 63}) {
  const auto input = rounded(0.03125f, {}), output = rounded(kScale, bounds);
  const auto layer = [=](const Tensor& x) { return output(each(tripled)(input(x))); };
  return {"int8",
          {{{.node = "input", .scale = 0.03125f, .input = true}, input},
           {{.node = "layer", .inputs = {"input"}, .scale = kScale, .bounds = bounds, .output = true},
            layer,
            [=](const Tensor& x) { return output(each([](float v) { return 3.02f * v; })(x)); }}}};
}

TensorDataset some_images(int64_t count = 12) { return TensorDataset(test::normal({count, 5, 7, 3}, 5, 0.7)); }

Comparison compared(const Tensor& x, const Tensor& y, const StageValue& value) {
  const FakeStage a("float", {{{.node = "x"}, same}});
  const FakeStage b("int8", {{value, [y](const Tensor&) { return y; }}});
  return compare(a, b, TensorDataset(x), {.batch = 256});
}

}  // namespace

TEST_CASE("a comparison's numbers are those of plain loops") {
  const TensorDataset images = some_images();
  const FakeStage a = float_net(), b = integer_net();
  const Comparison report = compare(a, b, images);
  CHECK(report.a == "float");
  CHECK(report.b == "int8");
  CHECK(report.images == 12);
  REQUIRE(report.nodes.size() == 2);

  for (const bool alone : {false, true}) {
    CAPTURE(alone);
    const Tensor x = a.nodes[1].of_input(images.images);
    const Tensor y = alone ? b.nodes[1].of_previous(images.images) : b.nodes[1].of_input(images.images);
    double xx = 0, yy = 0, xy = 0, ee = 0, absolute = 0, largest = 0, clipped = 0, sum = 0;
    double by_channel[3] = {}, reach[3] = {};
    int64_t saturated = 0;
    bool levels[128] = {};
    for (int64_t i = 0; i < x.elements(); ++i) {
      const double u = x.data<float>()[i], v = y.data<float>()[i], e = v - u;
      xx += u * u, yy += v * v, xy += u * v, ee += e * e, absolute += std::abs(e), sum += u;
      largest = std::max(largest, std::abs(e));
      by_channel[i % 3] += e;
      reach[i % 3] = std::max(reach[i % 3], std::abs(u));
      const auto q = static_cast<int64_t>(std::lround(v / kScale));
      levels[q + 64] = true;
      saturated += q == -64 || q == 63;
      if ((q == -64 && e > kScale) || (q == 63 && e < -kScale)) clipped += e * e;
    }
    const auto count = static_cast<double>(x.elements());
    const NodeComparison& n = report.nodes[1];
    CHECK(n.node == "layer");
    CHECK(n.output);
    CHECK_FALSE(n.input);
    CHECK(n.inputs == std::vector<std::string>{"input"});
    CHECK(n.values == x.elements());
    CHECK(n.unit == kScale);
    REQUIRE(n.local.has_value());
    const Difference& d = alone ? *n.local : n.accumulated;
    CHECK(d.cosine == doctest::Approx(xy / std::sqrt(xx * yy)).epsilon(1e-12));
    CHECK(d.noise == doctest::Approx(ee / xx).epsilon(1e-12));
    CHECK(d.sqnr == doctest::Approx(10 * std::log10(xx / ee)).epsilon(1e-12));
    CHECK(d.max_error == doctest::Approx(largest / kScale).epsilon(1e-12));
    CHECK(d.mean_error == doctest::Approx(absolute / count / kScale).epsilon(1e-12));
    CHECK(saturated > 0);
    CHECK(d.saturated == static_cast<double>(saturated) / count);
    CHECK(clipped > 0);
    CHECK(d.clipping == doctest::Approx(clipped / ee).epsilon(1e-12));
    CHECK(d.used_levels == static_cast<double>(std::count(levels, levels + 128, true)) / 128);
    double constant = 0;
    for (const double error : by_channel) constant += error * error / (count / 3);
    CHECK(d.shift == doctest::Approx(constant / ee).epsilon(1e-9));
    std::sort(reach, reach + 3);
    CHECK(n.a.reach() == reach[2]);
    CHECK(n.a.channel_ratio == reach[2] / reach[1]);
    CHECK(n.a.mean == doctest::Approx(sum / count).epsilon(1e-9));
    CHECK(n.a.rms == doctest::Approx(std::sqrt(xx / count)).epsilon(1e-12));
    if (!alone) CHECK(n.b.rms == doctest::Approx(std::sqrt(yy / count)).epsilon(1e-12));
    CHECK(n.b.max == 63 * static_cast<double>(kScale));
  }
}

TEST_CASE("a node's own error is told from what it inherits") {
  const Comparison report = compare(float_net(), integer_net(), some_images());
  const NodeComparison &input = report.nodes[0], &layer = report.nodes[1];
  // Nothing comes before an input.
  REQUIRE(input.local.has_value());
  CHECK(input.local->noise == input.accumulated.noise);
  CHECK(input.local_share() == 1);
  CHECK(layer.local_share() > 0);
  CHECK(layer.local_share() == std::min(1.0, layer.local->noise / layer.accumulated.noise));

  FakeStage b = integer_net();
  b.nodes[1].of_previous = nullptr;
  const Comparison without = compare(float_net(), b, some_images());
  CHECK_FALSE(without.nodes[1].local.has_value());
  CHECK(without.nodes[1].local_share() == 0);
  CHECK(without.nodes[1].accumulated.noise == layer.accumulated.noise);
}

TEST_CASE("neither the batch size nor threads change a bit") {
  const TensorDataset images(test::normal({12, 40, 50, 3}, 5, 0.7));
  const int before = threads();
  std::vector<std::string> reports;
  std::vector<Histogram> histograms;
  for (const auto& [count, batch] : {std::pair{1, 12}, {1, 1}, {2, 12}, {3, 5}}) {
    set_threads(count);
    const Comparison report = compare(float_net(), integer_net(), images, {.batch = batch});
    CHECK(report.images == 12);
    reports.push_back(to_csv(report));
    histograms.push_back(report.nodes[1].histogram);
  }
  set_threads(before);
  for (size_t i = 1; i < reports.size(); ++i) {
    CHECK(reports[i] == reports[0]);
    CHECK(histograms[i].low == histograms[0].low);
    CHECK(histograms[i].width == histograms[0].width);
    CHECK(histograms[i].a == histograms[0].a);
    CHECK(histograms[i].b == histograms[0].b);
    CHECK(histograms[i].alone == histograms[0].alone);
  }
}

TEST_CASE("a comparison stops after the batches that were asked for") {
  CHECK(compare(float_net(), integer_net(), some_images(), {.batch = 5, .batches = 2}).images == 10);
  CHECK(compare(float_net(), integer_net(), some_images(), {.batch = 5}).images == 12);
}

TEST_CASE("histograms of both stages have the same bins, whose edges lie between b's integers") {
  const TensorDataset images = some_images();
  const FakeStage a = float_net(), b = integer_net();
  const Comparison report = compare(a, b, images);
  const Histogram& h = report.nodes[1].histogram;
  REQUIRE(h.a.size() == h.b.size());
  REQUIRE(h.a.size() == h.alone.size());
  CHECK(h.a.size() <= 64);
  const auto counted = [&](const Tensor& x) {
    std::vector<int64_t> counts(h.a.size(), 0);
    for (const float v : x.values<float>()) ++counts.at(static_cast<size_t>((v - h.low) / h.width));
    return counts;
  };
  CHECK(h.a == counted(a.nodes[1].of_input(images.images)));
  CHECK(h.b == counted(b.nodes[1].of_input(images.images)));
  CHECK(h.alone == counted(b.nodes[1].of_previous(images.images)));
  const double integers = h.width / kScale, first = h.low / kScale;
  CHECK(integers == std::round(integers));
  CHECK(first - std::floor(first) == 0.5);
}

TEST_CASE("a bound is no saturation where the activation put it") {
  const Tensor x = Tensor::from({1, 1, 1, 8}, {-3, 0, 0, 0.5f, 1, 6, 6, 9});
  const auto saturated = [&](float scale, const Bounds& bounds, float ceiling) {
    const Tensor y = rounded(scale, bounds)(x);
    const Comparison report = compared(x, y, {.node = "x", .scale = scale, .bounds = bounds, .ceiling = ceiling});
    return report.nodes.at(0).accumulated;
  };
  const float none = std::numeric_limits<float>::infinity();
  CHECK(saturated(1, {-2, 5}, none).saturated == 4.0 / 8);  // -3, 6, 6, 9
  CHECK(saturated(1, {0, 5}, none).saturated == 3.0 / 8);   // a ReLU's 0 is its own
  CHECK(saturated(1, {0, 6}, 6).saturated == 0);            // and so is a ReLU6's 6
  CHECK(saturated(1, {0, 5}, 6).saturated == 3.0 / 8);      // unless the type ends before
  // Of 1 (-3 to -2), 1 and 1 (6 to 5) and 16 (9 to 5), only the last is more than a unit off.
  CHECK(saturated(1, {-2, 5}, none).clipping == doctest::Approx(16 / 19.25));
  CHECK(saturated(1, {-2, 5}, none).max_error == 4);
}

TEST_CASE("what has no scale is measured by the range that it would have in int8") {
  const Tensor x = Tensor::from({2, 1, 1, 2}, {-51, 0, 10, 20}), y = Tensor::from({2, 1, 1, 2}, {-50, 0, 10, 20});
  const NodeComparison n = compared(x, y, {.node = "x", .accumulators = true}).nodes.at(0);
  CHECK(n.accumulators);
  CHECK(n.unit == doctest::Approx(0.4));
  CHECK(n.accumulated.max_error == doctest::Approx(2.5));
  CHECK(n.accumulated.saturated == 0);
  CHECK(n.accumulated.used_levels == 0);
}

TEST_CASE("equal, silent and lost tensors have numbers, too") {
  const Tensor x = Tensor::from({1, 1, 1, 2}, {1, 2}), zero = Tensor::zeros({1, 1, 1, 2});
  const Difference equal = compared(x, x, {.node = "x"}).nodes.at(0).accumulated;
  CHECK(equal.cosine == 1);
  CHECK(equal.noise == 0);
  CHECK(equal.sqnr == kInfinity);
  CHECK(equal.shift == 0);
  const Difference silent = compared(zero, zero, {.node = "x"}).nodes.at(0).accumulated;
  CHECK(silent.cosine == 1);
  CHECK(silent.sqnr == kInfinity);
  const Difference lost = compared(x, zero, {.node = "x"}).nodes.at(0).accumulated;
  CHECK(lost.cosine == 0);
  CHECK(lost.noise == 1);
  CHECK(lost.sqnr == 0);
  const Difference made = compared(zero, x, {.node = "x"}).nodes.at(0).accumulated;
  CHECK(made.cosine == 0);
  CHECK(made.sqnr == -kInfinity);
}

TEST_CASE("dead channels are counted and leave the median alone") {
  const Tensor x = Tensor::from({2, 1, 1, 5}, {0, 1, -2, 0, 12, 0, 0.5f, 1, 0, 3});
  const Spread s = compared(x, x, {.node = "x"}).nodes.at(0).a;
  CHECK(s.channels == 5);
  CHECK(s.dead_channels == 2);
  CHECK(s.widest_channel == 4);
  CHECK(s.channel_ratio == 6);
}

TEST_CASE("nodes that only one stage has are listed") {
  FakeStage a = float_net(), b = integer_net();
  a.nodes.insert(a.nodes.begin() + 1, {{.node = "fused away"}, same});
  b.nodes.push_back({{.node = "new"}, same});
  const Comparison report = compare(a, b, some_images(), {.batch = 4});
  CHECK(report.nodes.size() == 2);
  CHECK(report.only_a == std::vector<std::string>{"fused away"});
  CHECK(report.only_b == std::vector<std::string>{"new"});
}

TEST_CASE("weights are compared, by channel as well") {
  FakeStage a = float_net(), b = integer_net();
  // [O,K]: output channels reach 4, 2, 8 and 0; input channels 8 and 1.
  const Tensor x = Tensor::from({4, 2}, {4, 1, -2, 0.5f, 8, 1, 0, 0}),
               y = Tensor::from({4, 2}, {4, 1, -2, 1, 8, 1, 0, 0});
  a.parameters = {{.node = "layer", .values = x}, {.node = "other", .values = x}};
  b.parameters = {
      {.node = "layer", .values = y, .scales = {1, 0.5f, 2, 0.25f}, .bias = {5, -(1 << 30), 1 << 29, (1 << 29) - 1}}};
  const Comparison report = compare(a, b, some_images());
  REQUIRE(report.weights.size() == 1);
  const WeightComparison& w = report.weights[0];
  CHECK(w.node == "layer");
  CHECK(w.noise == doctest::Approx(0.25 / 86.25));
  CHECK(w.sqnr == doctest::Approx(10 * std::log10(86.25 / 0.25)));
  CHECK(w.cosine == doctest::Approx(86.5 / std::sqrt(86.25 * 87)));
  CHECK(w.output_channels == 4);
  CHECK(w.dead_channels == 1);
  CHECK(w.output_ratio == 2);
  CHECK(w.input_ratio == 8);
  CHECK(w.scale_min == 0.25f);
  CHECK(w.scale_max == 2);
  CHECK(w.bias_limited == 2);
}

TEST_CASE("stages that do not belong together, or break, are errors that name the node") {
  const TensorDataset images = some_images();
  FakeStage b = integer_net();
  b.nodes[1].of_input = [](const Tensor& x) { return Tensor::zeros({x.size(0), 2}); };
  CHECK_ERROR(compare(float_net(), b, images),
              "compare: layer is float32 [12,5,7,3] in float and float32 [12,2] in int8");
  b = integer_net();
  b.nodes[1].of_input = each([](float) { return std::numeric_limits<float>::quiet_NaN(); });
  CHECK_ERROR(compare(float_net(), b, images), "compare: layer holds NaN or infinities");
  b = integer_net();
  b.nodes[1].of_previous = each([](float) { return std::numeric_limits<float>::infinity(); });
  CHECK_ERROR(compare(float_net(), b, images), "compare: layer holds NaN or infinities");
  b = integer_net();
  FakeStage a = float_net();
  a.parameters = {{.node = "layer", .values = Tensor::zeros({2, 3})}};
  b.parameters = {{.node = "layer", .values = Tensor::zeros({3, 2})}};
  CHECK_ERROR(compare(a, b, images),
              "compare: the weights of layer are float32 [2,3] in float and float32 [3,2] in int8");

  struct Moving final : Stage {
    mutable float scale = 1;
    std::string title() const override { return "a moving stage"; }
    std::vector<Tensor> run(std::span<const Tensor> x, const Show& show) const override {
      show({.node = "layer", .values = x[0], .scale = scale *= 2});
      return {x[0]};
    }
    void run_alone(const std::map<std::string, Tensor>&, const Show&) const override {}
    void weights(const std::function<void(const StageWeight&)>&) const override {}
  };
  CHECK_ERROR(compare(float_net(), Moving(), images, {.batch = 6}),
              "compare: the scale of layer was 2 and became 4 while a moving stage was compared");
}
