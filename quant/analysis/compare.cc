#include "compare.h"

#include <algorithm>
#include <cmath>
#include <map>

#include "../../data/data_loader.h"
#include "../samples.h"
#include "difference_meter.h"
#include "histogram.h"
#include "statistics.h"

namespace sinter::quant {

namespace {

constexpr int64_t kShownBins = 64;
constexpr int32_t kLargeBias = 1 << 29;  // within one power of two of the contract's limit, 2^30

// What is known of one activation so far.
struct NodeMeter {
  enum Series { kA, kB, kAlone, kSeries };

  StageValue value;  // of b, without its values
  DifferenceMeter accumulated, local;
  GrowingHistogram histogram;

  explicit NodeMeter(const StageValue& b) : value(b), histogram(kSeries, b.scale) { value.values = {}; }

  void count(Series series, const Tensor& x) {
    if (x.elements() == 0) return;
    const Range range = Samples(x).range();
    histogram.add(series, x.values<float>(), static_cast<double>(std::max(-range.min, range.max)));
  }
};

class Comparer {
 public:
  Comparer(const Stage& a, const Stage& b, const nn::Metrics& metrics)
      : a_(a), b_(b), metrics_a_(metrics), metrics_b_(metrics) {
    for (nn::Metrics* all : {&metrics_a_, &metrics_b_})
      for (nn::AnyMetric& metric : *all) metric->reset();
    result_.a = a.title();
    result_.b = b.title();
  }

  void run(std::span<const Tensor> x, const data::Batch& batch) {
    std::map<std::string, Tensor> given;
    const auto outputs_a = a_.run(x, [&](const StageValue& value) {
      given[value.node] = value.values;
      if (result_.images == 0) result_.only_a.push_back(value.node);  // for now
    });
    const auto outputs_b = b_.run(x, [&](const StageValue& value) {
      const auto x = given.find(value.node);
      if (x == given.end()) {
        if (result_.images == 0) result_.only_b.push_back(value.node);
        return;
      }
      NodeMeter& meter = meter_of(value);
      check_same_shape(value, x->second);
      meter.accumulated.add(x->second, value);
      meter.count(NodeMeter::kA, x->second);
      meter.count(NodeMeter::kB, value.values);
      if (!value.input) return;
      meter.local.add(x->second, value);
      meter.count(NodeMeter::kAlone, value.values);
    });
    b_.run_alone(given, [&](const StageValue& value) {
      const auto x = given.find(value.node);
      if (x == given.end() || value.input) return;
      NodeMeter& meter = meter_of(value);
      check_same_shape(value, x->second);
      meter.local.add(x->second, value);
      meter.count(NodeMeter::kAlone, value.values);
    });
    for (nn::AnyMetric& metric : metrics_a_) metric->add(outputs_a, batch);
    for (nn::AnyMetric& metric : metrics_b_) metric->add(outputs_b, batch);
    result_.images += data::count_of(batch);
  }

  Comparison finish() {
    std::erase_if(result_.only_a, [&](const std::string& node) { return index_.count(node) != 0; });
    for (const NodeMeter& meter : meters_) result_.nodes.push_back(finished(meter));
    result_.metrics_a = nn::measured(metrics_a_).numbers;
    result_.metrics_b = nn::measured(metrics_b_).numbers;
    compare_weights();
    return std::move(result_);
  }

 private:
  NodeMeter& meter_of(const StageValue& value) {
    const auto [at, made] = index_.emplace(value.node, meters_.size());
    if (made) meters_.emplace_back(value);
    NodeMeter& meter = meters_[at->second];
    check(meter.value.scale == value.scale && meter.value.bounds == value.bounds, "compare: the scale of ", value.node,
          " was ", meter.value.scale, " and became ", value.scale, " while ", b_.title(), " was compared");
    return meter;
  }

  void check_same_shape(const StageValue& value, const Tensor& other) const {
    check(value.values.spec() == other.spec(), "compare: ", value.node, " is ", other.spec(), " in ", a_.title(),
          " and ", value.values.spec(), " in ", b_.title());
  }

  static NodeComparison finished(const NodeMeter& meter) {
    const StageValue& value = meter.value;
    NodeComparison n{.node = value.node,
                     .inputs = value.inputs,
                     .input = value.input,
                     .output = value.output,
                     .accumulators = value.accumulators,
                     .scale = value.scale,
                     .bounds = value.bounds,
                     .values = meter.accumulated.values(),
                     .a = meter.accumulated.spread_a(),
                     .b = meter.accumulated.spread_b()};
    const double reach = n.a.reach();
    n.unit = value.scale > 0 ? static_cast<double>(value.scale)
             : reach > 0     ? static_cast<double>(scale_from_range(0, static_cast<float>(reach)))
                             : 1.0;
    n.accumulated = meter.accumulated.difference(n.unit);
    if (meter.local.values() > 0) n.local = meter.local.difference(n.unit);
    auto bins = meter.histogram.bins(kShownBins);
    n.histogram = {bins.low, bins.width, std::move(bins.counts[NodeMeter::kA]), std::move(bins.counts[NodeMeter::kB]),
                   std::move(bins.counts[NodeMeter::kAlone])};
    return n;
  }

  void compare_weights() {
    std::map<std::string, Tensor> weights;
    a_.weights([&](const StageWeight& weight) { weights[weight.node] = weight.values; });
    b_.weights([&](const StageWeight& weight) {
      const auto x = weights.find(weight.node);
      if (x == weights.end()) return;
      check(weight.values.spec() == x->second.spec(), "compare: the weights of ", weight.node, " are ",
            x->second.spec(), " in ", a_.title(), " and ", weight.values.spec(), " in ", b_.title());
      if (weight.values.elements() > 0) result_.weights.push_back(compared(x->second, weight));
    });
  }

  static WeightComparison compared(const Tensor& a, const StageWeight& b) {
    const int64_t outputs = a.size(0), inputs = a.shape()[-1], each = a.elements() / outputs;
    const auto x = a.values<float>(), y = b.values.values<float>();
    std::vector<float> output_reach(outputs, 0), input_reach(inputs, 0);
    double xx = 0, yy = 0, xy = 0, squared_errors = 0;
    for (int64_t i = 0; i < a.elements(); ++i) {
      const double u = static_cast<double>(x[i]), v = static_cast<double>(y[i]);
      xx += u * u;
      yy += v * v;
      xy += u * v;
      squared_errors += (v - u) * (v - u);
      float &output = output_reach[i / each], &input = input_reach[i % inputs];
      output = std::max(output, std::abs(x[i]));
      input = std::max(input, std::abs(x[i]));
    }
    check(std::isfinite(xx) && std::isfinite(yy), "compare: the weights of ", b.node, " hold NaN or infinities");
    const Agreement agreement = agreement_of(xx, yy, xy, squared_errors);
    const ChannelRatio ratio = channel_ratio(output_reach);
    WeightComparison w{.node = b.node,
                       .cosine = agreement.cosine,
                       .noise = agreement.noise,
                       .sqnr = agreement.sqnr,
                       .output_ratio = ratio.ratio,
                       .input_ratio = channel_ratio(input_reach).ratio,
                       .output_channels = outputs,
                       .dead_channels = ratio.dead};
    if (!b.scales.empty()) {
      w.scale_min = *std::min_element(b.scales.begin(), b.scales.end());
      w.scale_max = *std::max_element(b.scales.begin(), b.scales.end());
    }
    w.bias_limited =
        std::count_if(b.bias.begin(), b.bias.end(), [](int32_t q) { return q >= kLargeBias || q <= -kLargeBias; });
    return w;
  }

  const Stage &a_, &b_;
  nn::Metrics metrics_a_, metrics_b_;
  Comparison result_;
  std::vector<NodeMeter> meters_;  // in b's order
  std::map<std::string, size_t> index_;
};

}  // namespace

double NodeComparison::local_share() const {
  if (!local || accumulated.noise <= 0) return 0;
  return local->noise >= accumulated.noise ? 1 : local->noise / accumulated.noise;
}

Comparison compare(const Stage& a, const Stage& b, const data::Dataset& dataset, const CompareOptions& options) {
  Comparer comparer(a, b, options.metrics);
  data::DataLoader loader(
      dataset, {.batch = options.batch, .shuffle = false, .batches = options.batches, .collate = options.collate});
  for (const auto& batch : loader) comparer.run(options.inputs(batch), batch);
  return comparer.finish();
}

}  // namespace sinter::quant
