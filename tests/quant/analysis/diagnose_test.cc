#include "../../../quant/analysis/diagnose.h"

#include <algorithm>

#include "reports.h"

using namespace sinter;
using namespace sinter::quant;

namespace {

// input -> conv1 -> conv2 -> head, all well.
Comparison healthy_network() {
  Comparison report{.a = "float", .b = "int8", .images = 100};
  report.nodes = {test::healthy("input"), test::healthy("conv1", {"input"}), test::healthy("conv2", {"conv1"}),
                  test::healthy("head", {"conv2"})};
  report.nodes[0].input = true;
  NodeComparison& head = report.nodes[3];
  head.scale = 0;
  head.output = head.accumulators = true;
  for (const char* node : {"conv1", "conv2", "head"})
    report.weights.push_back({.node = node,
                              .cosine = 0.9999,
                              .noise = 0.0001,
                              .sqnr = 40,
                              .output_ratio = 3,
                              .input_ratio = 2,
                              .output_channels = 16,
                              .scale_min = 0.001f,
                              .scale_max = 0.004f});
  return report;
}

NodeComparison& conv1(Comparison& report) { return report.nodes[1]; }
NodeComparison& conv2(Comparison& report) { return report.nodes[2]; }

// A network with a layer that is bad alone.
Comparison sick_network(double sqnr = 10) {
  Comparison report = healthy_network();
  conv2(report).local = test::difference_of(sqnr);
  return report;
}

Finding only_finding(const Comparison& report, const DiagnoseOptions& options = {}) {
  const std::vector<Finding> findings = diagnose(report, options);
  CAPTURE(to_string(findings));
  REQUIRE(findings.size() == 1);
  return findings[0];
}

bool has(const std::string& text, const std::string& part) { return text.find(part) != std::string::npos; }

using Names = std::vector<std::string>;

}  // namespace

TEST_CASE("a healthy network has no findings") {
  CHECK(diagnose(healthy_network()).empty());
  CHECK(to_string(diagnose(healthy_network())) == "no cause of lost accuracy found\n");
  // Peculiar, but nothing is lost by it.
  Comparison report = healthy_network();
  conv1(report).a.channel_ratio = 500;
  conv1(report).local->clipping = conv1(report).local->shift = 0.9;
  report.weights[1].input_ratio = 500;
  report.weights[1].bias_limited = 3;
  CHECK(diagnose(report).empty());
  CHECK(diagnose({.a = "a", .b = "b"}).empty());
}

TEST_CASE("outlier channels of an activation are found where they are read") {
  Comparison report = sick_network();
  conv1(report).a.channel_ratio = 812;  // its own error is small: the wide channels are all of its power
  const Finding f = only_finding(report);
  CHECK(f.cause == "outlier channels in activations");
  CHECK(f.nodes == Names{"conv1"});
  CHECK(f.evidence == "conv1: channel 3 of 16 reaches 32, 812 times the median channel; conv2 has 10.0 dB alone");
  CHECK(has(f.remedy, "equalize"));
  CHECK(has(f.remedy, "int16"));
  CHECK(has(f.remedy, "by_path"));
  const double others = 3 * std::pow(10, -3.6);
  CHECK(f.share == doctest::Approx(0.1 / (0.1 + others)));
}

TEST_CASE("outlier channels of weights") {
  Comparison report = sick_network();
  report.weights[1].input_ratio = 100;
  Finding f = only_finding(report);
  CHECK(f.cause == "outlier channels in weights");
  CHECK(f.nodes == Names{"conv2"});
  CHECK(has(f.evidence,
            "the widest input channel reaches 100 times the median one, weights have 40.0 dB; 10.0 dB alone"));
  CHECK(has(f.remedy, "equalize"));
  // Output channels only matter when they share a scale.
  report = sick_network();
  report.weights[1].output_ratio = 100;
  CHECK(only_finding(report).cause == "integers too coarse");
  report.weights[1].scale_min = report.weights[1].scale_max;
  f = only_finding(report);
  CHECK(f.cause == "outlier channels in weights");
  CHECK(has(f.evidence, "the widest output channel reaches 100 times"));
  CHECK(has(f.remedy, "per output channel"));
}

TEST_CASE("saturation") {
  Comparison report = sick_network();
  conv2(report).local->clipping = 0.8;
  conv2(report).local->saturated = 0.07;
  conv2(report).a.max = 200;
  const Finding f = only_finding(report);
  CHECK(f.cause == "saturation");
  CHECK(f.evidence ==
        "conv2: 7.0 % saturated, 80.0 % of the error there; values reach 200, integers 32; 10.0 dB alone");
  CHECK(has(f.remedy, "min_max"));
  CHECK(has(f.remedy, "percentile"));
  const double others = 3 * std::pow(10, -3.6);
  CHECK(f.share == doctest::Approx(0.08 / (0.1 + others)));
}

TEST_CASE("a range that few values need") {
  Comparison report = sick_network();
  conv2(report).a.rms = 0.5;
  conv2(report).local->used_levels = 0.04;
  const Finding f = only_finding(report);
  CHECK(f.cause == "a range that few values need");
  CHECK(has(f.evidence, "conv2: the range of 32 is 64 times the RMS of its values, 4.0 % of the integers occur"));
  for (const char* observer : {"percentile", "mse", "kl"}) CHECK(has(f.remedy, observer));
}

TEST_CASE("a scale too large for its values") {
  Comparison report = sick_network();
  conv2(report).a = {.min = -0.5, .max = 1, .rms = 0.4, .channels = 16, .channel_ratio = 2};
  const Finding f = only_finding(report);
  CHECK(f.cause == "a scale too large for its values");
  CHECK(has(f.evidence, "the scale is 0.25, integers reach 32, but values only 1"));
  CHECK(has(f.remedy, "fixed_scale"));
  CHECK(has(f.remedy, "run_in_float"));
}

TEST_CASE("patterns that did not fuse") {
  const Finding f = only_finding(
      healthy_network(), {.unfused = {"conv1 (relu) was not fused: stem is read 2 times", "bn: another reason"}});
  CHECK(f.cause == "an unfused pattern");
  CHECK(f.nodes == Names{"conv1", "bn"});
  CHECK(f.evidence == "conv1: (relu) was not fused: stem is read 2 times\nbn: another reason");
  CHECK(f.share == doctest::Approx(0.25));
  CHECK(has(f.remedy, "fuse()"));
}

TEST_CASE("an output without high precision") {
  Comparison report = healthy_network();
  report.nodes[3].accumulators = false;
  report.nodes[3].scale = 0.25f;
  const Finding f = only_finding(report);
  CHECK(f.cause == "an output without high precision");
  CHECK(f.nodes == Names{"head"});
  CHECK(has(f.evidence, "rounded to 256 integers of 0.25; 36.0 dB alone"));
  CHECK(has(f.remedy, "activation_fake_quant = none"));
  CHECK(f.share == doctest::Approx(0.0625 / 12 / 64 / (4 * std::pow(10, -3.6))));
}

TEST_CASE("an input that is not symmetric") {
  Comparison report = healthy_network();
  Spread& input = report.nodes[0].a;
  input = {.min = 0, .max = 1, .mean = 0.3, .rms = 0.45, .channels = 3};
  Finding f = only_finding(report);
  CHECK(f.cause == "an input that is not symmetric");
  CHECK(f.nodes == Names{"input"});
  CHECK(has(f.evidence, "values are in 0..1 with mean 0.3"));
  CHECK(has(f.remedy, "ImageDatasetOptions"));
  CHECK(f.share == doctest::Approx(0.75 / 4));
  input = {.min = -1, .max = 2, .mean = 1, .rms = 1.2, .channels = 3};  // mostly a constant
  CHECK(only_finding(report).cause == "an input that is not symmetric");
  input = {.min = -0.81, .max = 2.02, .mean = 0, .rms = 1, .channels = 1};  // Fashion-MNIST, normalised
  CHECK(diagnose(report).empty());
}

TEST_CASE("biases at their limit") {
  Comparison report = sick_network();
  report.weights[1].bias_limited = 3;
  const Finding f = only_finding(report);
  CHECK(f.cause == "biases at their limit");
  CHECK(has(f.evidence, "conv2: 3 of 16 output channels have a bias near 2^30"));
  CHECK(has(f.remedy, "run_in_float"));
}

TEST_CASE("dead tensors, before and after quantisation") {
  Comparison report = healthy_network();
  conv2(report).b = {};
  conv2(report).local = test::difference_of(0);
  Finding f = only_finding(report);
  CHECK(f.cause == "a tensor that quantisation made zero");
  CHECK(f.evidence == "conv2: all 0 in int8, but up to 32 in float");
  CHECK(f.share > 0.99);
  report = healthy_network();
  conv2(report).a = conv2(report).b = {};
  conv2(report).local = test::difference_of(INFINITY);
  f = only_finding(report);
  CHECK(f.cause == "a dead tensor");
  CHECK(f.evidence == "conv2: all 1000 values are 0 in float");
  CHECK(f.share == 0);
}

TEST_CASE("shifted means") {
  Comparison report = sick_network();
  conv2(report).local->shift = 0.75;
  const Finding f = only_finding(report);
  CHECK(f.cause == "shifted means");
  CHECK(has(f.evidence, "75.0 % of the error is a constant for each channel"));
  CHECK(has(f.remedy, "correct_bias"));
}

TEST_CASE("what no cause explains is too coarse") {
  Comparison report = sick_network();
  conv1(report).local = test::difference_of(5);
  const Finding f = only_finding(report);
  CHECK(f.cause == "integers too coarse");
  CHECK(f.nodes == Names{"conv1", "conv2"});  // the worst first
  for (const char* remedy : {"load_observer_params", "lsq", "int16", "run_in_float"}) CHECK(has(f.remedy, remedy));
}

TEST_CASE("findings are in the order of their effect, and read as text") {
  Comparison report = sick_network(20);
  conv2(report).local->shift = 0.9;
  conv1(report).local = test::difference_of(5);
  conv1(report).local->clipping = 1;
  const std::vector<Finding> findings = diagnose(report);
  REQUIRE(findings.size() == 2);
  CHECK(findings[0].cause == "saturation");
  CHECK(findings[1].cause == "shifted means");
  CHECK(findings[0].share > findings[1].share);
  CHECK(to_string(std::vector<Finding>{{.cause = "saturation",
                                        .share = 0.9,
                                        .nodes = Names(10, "conv"),
                                        .evidence = "conv: bad\nand 9 more",
                                        .remedy = "percentile"}}) ==
        "1. saturation, about 90.0 % of the noise: conv, conv, conv, conv, conv, conv, conv, conv, 2 more\n"
        "   evidence: conv: bad\n"
        "             and 9 more\n"
        "   remedy:   percentile\n");
}

TEST_CASE("without a run of nodes alone, what was accumulated serves") {
  Comparison report = healthy_network();
  for (NodeComparison& n : report.nodes) n.local.reset();
  CHECK(diagnose(report).empty());
  conv2(report).accumulated = test::difference_of(10);
  conv2(report).accumulated.clipping = 0.9;
  CHECK(only_finding(report).cause == "saturation");
}
