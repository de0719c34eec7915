#include "equalize.h"

#include <algorithm>
#include <cmath>

#include "../../core/autograd.h"
#include "../../core/format.h"
#include "../../core/table.h"
#include "../fused_conv.h"
#include "channels.h"

namespace sinter::quant {

namespace {

// A bias counts as weights of a 64th of it. Folded batch normalisation leaves biases of up to 25 times the largest
// weight in ordinary channels (ResNet-20 on Fashion-MNIST), where this changes nothing, but nearly dead channels with a
// bias, too: equalised by their weights alone, these would take their tensor's whole range.
constexpr double kBiasShare = 64;

// A convolution or linear layer: the largest magnitude of its weights for every pair of an output channel and one that
// it reads.
struct Pairs {
  const Node* node = nullptr;
  Tensor weight, bias;                    // share the model's elements
  std::vector<size_t> made, read;         // classes of its output and input channels
  size_t group_made = 1, group_read = 1;  // channels of a group
  std::vector<float> reach;               // [made, group_read]

  // The input channel that weights (made channel o, index i) are for.
  size_t input(size_t o, size_t i) const { return o / group_made * group_read + i; }
};

Pairs pairs_of(const Graph& graph, const Channels& channels, size_t index) {
  Pairs p;
  p.node = &graph.nodes[index];
  p.weight = graph.parameters[p.node->inputs[1].index].value.tensor();
  p.bias = graph.parameters[p.node->inputs[2].index].value.tensor();
  p.made = channels.of({Operand::Kind::node, static_cast<int>(index)});
  p.read = channels.of(p.node->inputs[0]);
  p.group_read = static_cast<size_t>(p.weight.size(p.weight.rank() - 1));
  p.group_made = p.made.size() * p.group_read / p.read.size();
  p.reach.assign(p.made.size() * p.group_read, 0);
  const auto weights = p.weight.values<float>();
  const size_t each = weights.size() / p.made.size();
  for (size_t k = 0; k < weights.size(); ++k) {
    float& reach = p.reach[k / each * p.group_read + k % p.group_read];
    reach = std::max(reach, std::abs(weights[k]));
  }
  return p;
}

// Largest over smallest, of those that are not zero.
double ratio(const std::vector<double>& ranges) {
  double smallest = INFINITY, largest = 0;
  for (const double range : ranges)
    if (range > 0) {
      smallest = std::min(smallest, range);
      largest = std::max(largest, range);
    }
  return largest > 0 ? largest / smallest : 1;
}

class Equalizer {
 public:
  Equalizer(const Graph& graph, const Channels& channels)
      : channels_(channels), divisors_(channels.bound(), 1.0), makers_(channels.bound()), readers_(channels.bound()) {
    for (size_t i = 0; i < graph.nodes.size(); ++i)
      if (fused_conv(graph.nodes[i]) != nullptr) layers_.push_back(pairs_of(graph, channels, i));
    for (const Pairs& p : layers_) {
      for (size_t o = 0; o < p.made.size(); ++o) makers_[p.made[o]].push_back({&p, o});
      for (size_t i = 0; i < p.read.size(); ++i) readers_[p.read[i]].push_back({&p, i});
    }
  }

  // Equalises every class once, given the others; returns the largest change as |log s|.
  double pass() {
    double change = 0;
    for (size_t c = 0; c < divisors_.size(); ++c) {
      if (!channels_.pinned(c).empty()) continue;
      const double r1 = std::max(largest(makers_[c], &Equalizer::made_range, c), bias_range(c));
      const double r2 = largest(readers_[c], &Equalizer::read_range, c);
      if (r1 == 0 || r2 == 0) continue;
      const double s = std::sqrt(r1 * r2) / r2;
      divisors_[c] *= s;
      change = std::max(change, std::abs(std::log(s)));
    }
    return change;
  }

  void write() {
    for (Pairs& p : layers_) {
      float *w = sinter::detail::Access::write<float>(p.weight), *b = sinter::detail::Access::write<float>(p.bias);
      const size_t each = static_cast<size_t>(p.weight.elements()) / p.made.size();
      for (size_t o = 0; o < p.made.size(); ++o) {
        const double divisor = divisors_[p.made[o]];
        b[o] = static_cast<float>(b[o] / divisor);
        for (size_t k = 0; k < each; ++k, ++w)
          *w = static_cast<float>(*w * (divisors_[p.read[p.input(o, k % p.group_read)]] / divisor));
      }
    }
  }

  // Without the ratios before.
  std::vector<EqualizedLayer> report() const {
    std::vector<EqualizedLayer> all;
    for (const Pairs& p : layers_) {
      EqualizedLayer& layer = all.emplace_back();
      layer.name = p.node->name;
      layer.outputs = static_cast<int64_t>(p.made.size());
      std::vector<double> made, read;
      for (size_t o = 0; o < p.made.size(); ++o) made.push_back(made_range(p, o, kNone));
      for (size_t i = 0; i < p.read.size(); ++i) read.push_back(read_range(p, i, kNone));
      layer.output_ratio = ratio(made);
      layer.input_ratio = ratio(read);
      for (const size_t c : p.made) {
        if (divisors_[c] != 1) ++layer.scaled;
        if (layer.skipped.empty()) layer.skipped = channels_.pinned(c);
      }
    }
    return all;
  }

 private:
  static constexpr size_t kNone = ~size_t{0};
  struct Place {
    const Pairs* layer;
    size_t channel;
  };
  using RangeOf = double (Equalizer::*)(const Pairs&, size_t, size_t) const;

  double reach(const Pairs& p, size_t o, size_t i) const {
    return p.reach[o * p.group_read + i] * divisors_[p.read[p.input(o, i)]] / divisors_[p.made[o]];
  }

  // What the biases of a class count for.
  double bias_range(size_t c) const {
    double most = 0;
    for (const Place& place : makers_[c])
      most = std::max(most, std::abs(double{place.layer->bias.data<float>()[place.channel]}));
    return most / kBiasShare / divisors_[c];
  }

  // The range of the weights that make channel o. What reads and makes `c` both does not change with its scale, and is
  // left out.
  double made_range(const Pairs& p, size_t o, size_t c) const {
    double range = 0;
    for (size_t i = 0; i < p.group_read; ++i)
      if (p.read[p.input(o, i)] != c) range = std::max(range, reach(p, o, i));
    return range;
  }

  // The range of the weights that read channel i, likewise.
  double read_range(const Pairs& p, size_t i, size_t c) const {
    double range = 0;
    const size_t group = i / p.group_read;
    for (size_t o = group * p.group_made; o < (group + 1) * p.group_made; ++o)
      if (p.made[o] != c) range = std::max(range, reach(p, o, i % p.group_read));
    return range;
  }

  double largest(const std::vector<Place>& places, RangeOf range, size_t c) const {
    double most = 0;
    for (const Place& place : places) most = std::max(most, (this->*range)(*place.layer, place.channel, c));
    return most;
  }

  const Channels& channels_;
  std::vector<Pairs> layers_;
  std::vector<double> divisors_;                      // what the values of a class are divided by
  std::vector<std::vector<Place>> makers_, readers_;  // of a class
};

void check_finite(const Graph& graph) {
  for (const NamedParameter& parameter : graph.parameters)
    for (const float v : parameter.value.tensor().values<float>())
      check(std::isfinite(v), "equalize: a value of ", parameter.name, " is ", v);
}

// What limits a tensor by real numbers, which are not scaled with it; empty: nothing does.
std::string limits(const TensorConfig& config) {
  if (config.make_observer()->fixed_scale()) return "the fixed scale of ";
  return config.observer == "clip" ? "the clip of " : "";
}

void pin_limited(const PreparedModel& model, Channels& channels) {
  for (size_t i = 0; i < model.graph().nodes.size(); ++i) {
    const Node& node = model.graph().nodes[i];
    const Operand self{Operand::Kind::node, static_cast<int>(i)};
    if (const auto* quantizer = model.node_quantizer(i))
      if (const std::string what = limits(quantizer->config()); !what.empty()) channels.pin(self, what + node.name);
    if (const auto* weights = model.weight_quantizer(i))
      if (const std::string what = limits(weights->config()); !what.empty())
        for (const Operand& operand : {self, node.inputs[0]}) channels.pin(operand, what + node.name + "'s weights");
  }
}

bool has_relu6(const Node& node) {
  if (const FusedConv* conv = fused_conv(node)) return conv->activation() == Activation::relu6;
  return node.op->name() == "relu6";
}

}  // namespace

std::string to_string(const EqualizeReport& report) {
  std::vector<std::vector<std::string>> rows{
      {"layer", "outputs: before", "after", "inputs: before", "after", "scaled", "of", "  not scaled for"}};
  for (const EqualizedLayer& layer : report.layers)
    rows.push_back({layer.name, with_digits(layer.output_ratio_before, 4), with_digits(layer.output_ratio, 4),
                    with_digits(layer.input_ratio_before, 4), with_digits(layer.input_ratio, 4), text(layer.scaled),
                    text(layer.outputs), "  " + layer.skipped});
  std::string out = "largest range of a channel's weights over the smallest\n" + sinter::detail::table(rows, 1);
  if (!report.replaced_relu6.empty()) out += text("ReLU6 became ReLU: ", joined(report.replaced_relu6), "\n");
  if (!report.converged) out += text("not converged after ", report.iterations, " iterations\n");
  return out;
}

EqualizeReport equalize(PreparedModel& model, const EqualizeOptions& options) {
  check(options.iterations >= 1 && options.tolerance >= 0, "equalize: iterations is ", options.iterations,
        ", tolerance ", options.tolerance, ", expected at least 1 and at least 0");
  check_folded("equalize", model.graph());
  for (size_t i = 0; i < model.graph().nodes.size(); ++i)
    if (const auto* weights = model.weight_quantizer(i); weights != nullptr && weights->learned.defined())
      for (const float v : weights->learned.tensor().values<float>())
        check(v == 0, "equalize: the scales of ", weights->name(),
              "'s weights are learned already, for the weights as they are; equalise a freshly prepared model");
  for (const ActivationQuantizer* quantizer : model.quantizers())
    check(
        quantizer->batches() == 0, "equalize: ", quantizer->name(),
        " was observed already, and equalisation changes the ranges; equalise a freshly prepared model, then run data "
        "through it in FakeQuantState::calibration");
  EqualizeReport report;
  const Graph& graph = model.graph();
  check_finite(graph);
  for (size_t i = 0; options.replace_relu6 && i < graph.nodes.size(); ++i)
    if (has_relu6(graph.nodes[i])) {
      model.replace_relu6(i);
      report.replaced_relu6.push_back(graph.nodes[i].name);
    }
  Channels channels(graph);
  pin_limited(model, channels);
  Equalizer equalizer(graph, channels);
  const auto before = equalizer.report();
  for (report.converged = false; !report.converged && report.iterations < options.iterations; ++report.iterations)
    report.converged = equalizer.pass() <= options.tolerance;
  equalizer.write();
  report.layers = equalizer.report();
  for (size_t i = 0; i < before.size(); ++i) {
    report.layers[i].output_ratio_before = before[i].output_ratio;
    report.layers[i].input_ratio_before = before[i].input_ratio;
  }
  return report;
}

}  // namespace sinter::quant
