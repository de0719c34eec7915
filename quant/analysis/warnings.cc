#include "warnings.h"

#include <algorithm>
#include <cmath>
#include <map>

#include "../fuse.h"
#include "../fused_conv.h"
#include "../listed.h"
#include "../lower.h"
#include "../program.h"
#include "../scale_source.h"

namespace sinter::quant {

namespace {

using Lines = std::vector<std::string>;

// More of a running range than this comes from the first batch alone: too few batches for the averaging constant.
constexpr double kFirstBatch = 0.5;
// Below this share of the longer side of a range, the other side is nearly unused.
constexpr float kOneSided = 0.25f;

// How many times larger than the integers go values have to be, or the other way, for a scale to be wrong.
constexpr float kFar = 8;

bool is_learned(const ActivationQuantizer& quantizer) { return quantizer.learned.defined(); }

void unobserved(const PreparedModel& model, Lines& lines) {
  Lines names;
  for (const ActivationQuantizer* quantizer : model.quantizers())
    if (!quantizer->observed()) names.push_back(quantizer->name());
  if (!names.empty())
    lines.push_back(text(listed(names), ": nothing was observed yet; run data through the model in ",
                         "FakeQuantState::calibration, or call load_observer_params"));
}

void dead_tensors(const PreparedModel& model, Lines& lines) {
  for (const ActivationQuantizer* quantizer : model.quantizers())
    if (const Range range = quantizer->range(); quantizer->batches() > 0 && range.min == 0 && range.max == 0)
      lines.push_back(text(quantizer->name(), quantizer->reach() == 0 ? ": all its values were 0"
                                                                      : ": its observer clips all of its values to 0"));
}

// What `saturation_warnings` tells of.
bool clipped_by_grid(const Arithmetic& march, const ActivationQuantizer& quantizer) {
  const Range range = quantizer.range();
  return quantizer.observer().fixed_scale() || march.clips(scale_from_range(range.min, range.max, quantizer.type()));
}

// Scales that have little to do with the values that were observed: a clip, or a learned number, that went astray.
void unfit_scales(const PreparedModel& model, Lines& lines) {
  for (const ActivationQuantizer* quantizer : model.quantizers()) {
    const float reach = quantizer->reach();
    if (reach == 0) continue;  // dead, or not observed
    const float scale = quantizer->scale(model.march());
    const auto high = static_cast<float>(quantizer->bounds().high) * scale;
    const auto line = [&](const auto&... what) {
      lines.push_back(text(quantizer->name(), ": its values reach ", reach, ", but its scale ", scale, what...));
    };
    if (reach <= scale / 2)
      line(" makes all of them 0");
    else if (reach > kFar * high && !clipped_by_grid(model.march(), *quantizer))
      line(" saturates at ", high);
    else if (kFar * reach < high && quantizer->bounds().high >= 127)
      line(" has integers up to ", high, ", of which most are unused");
  }
}

// The weights of every layer on integers, as VALIDATION has them; those that several layers have, once.
template <class F>
void each_layer(const PreparedModel& model, const F& f) {
  const Graph& graph = model.graph();
  for (size_t i = 0; i < graph.nodes.size(); ++i) {
    const WeightQuantizer* weights = model.weight_quantizer(i);
    if (weights != nullptr && weights->name() == graph.nodes[i].name)
      f(graph.nodes[i], *weights, folded_weights(graph, graph.nodes[i]));
  }
}

Lines texts(const std::vector<int64_t>& numbers) {
  Lines all;
  for (const int64_t n : numbers) all.push_back(text(n));
  return all;
}

std::string of_channels(const std::vector<int64_t>& some, int64_t outputs) {
  return text(some.size(), " of ", outputs, " output channels (", listed(texts(some)), ")");
}

// Weights far below the smallest scale that the march has for them.
void coarse_weights(const PreparedModel& model, Lines& lines) {
  each_layer(model, [&](const Node&, const WeightQuantizer& weights, const Folded& folded) {
    const std::vector<float> scales = weights.scales(model.march(), folded.weight);
    const auto high = static_cast<float>(type_bounds(weights.config().bits).high);
    std::vector<int64_t> coarse;
    for (size_t o = 0; o < scales.size() && !weights.learned.defined(); ++o) {
      const Range range = Samples::channel(folded.weight, static_cast<int64_t>(o)).range();
      const float reach = std::max(-range.min, range.max);
      if (reach > 0 && kFar * reach < high * scales[o] && model.march().on_grid(reach / high, true) == scales[o])
        coarse.push_back(static_cast<int64_t>(o));
    }
    if (!coarse.empty())
      lines.push_back(text(weights.name(), ": the weights of ",
                           of_channels(coarse, static_cast<int64_t>(scales.size())),
                           " are small beside the smallest scale of ", model.march(), ", ", scales[coarse[0]],
                           ", and most of their integers are unused; rescale the layer's channels (quant::equalize)"));
  });
}

void channels_of_weights(const PreparedModel& model, Lines& lines) {
  each_layer(model, [&](const Node& node, const WeightQuantizer&, const Folded& folded) {
    const int64_t outputs = folded.weight.size(0), each = folded.weight.elements() / outputs;
    const auto w = folded.weight.values<float>();
    std::vector<int64_t> dead;
    for (int64_t o = 0; o < outputs; ++o)
      if (const auto row = w.subspan(o * each, each);
          std::all_of(row.begin(), row.end(), [](float v) { return v == 0; }))
        dead.push_back(o);
    if (!dead.empty()) lines.push_back(text(node.name, ": the weights of ", of_channels(dead, outputs), " are all 0"));
  });
  const Graph& graph = model.graph();
  const Scales inputs = scales_of(model);
  for (size_t i = 0; i < graph.nodes.size(); ++i) {  // the weights may be another's, the bias and the input are its own
    const WeightQuantizer* weights = model.weight_quantizer(i);
    const Node& node = graph.nodes[i];
    const float x_scale = weights == nullptr ? 0 : inputs.of(node.inputs[0]);
    if (x_scale <= 0) continue;
    const Folded folded = folded_weights(graph, node);
    const std::vector<float> scales = weights->scales(model.march(), folded.weight);
    const std::vector<float> used = quantized_weights(model, inputs, i).scales;
    std::vector<int64_t> by_bias, by_residual;
    for (size_t o = 0; o < scales.size(); ++o) {
      const float needed = effective_weight_scale(model.march(), scales[o], x_scale, folded.bias.values<float>()[o]);
      if (needed != scales[o]) by_bias.push_back(static_cast<int64_t>(o));
      if (used[o] != needed) by_residual.push_back(static_cast<int64_t>(o));
    }
    const auto warn = [&](const std::vector<int64_t>& raised, const char* what, const char* are) {
      if (!raised.empty())
        lines.push_back(text(node.name, ": ", what, of_channels(raised, folded.bias.elements()), are,
                             " so large beside their weights that the weights' scales were raised"));
    };
    warn(by_bias, "the biases of ", " are");
    warn(by_residual, "what is added to ", " is");
  }
}

// Integers of rescalings that are coarse for what they stand for.
void coarse_rescalings(const PreparedModel& model, Lines& lines) {
  for (const ActivationQuantizer* quantizer : model.quantizers())
    if (!quantizer->observed()) return;
  IntegerProgram program;
  try {
    program = lower(model);
  } catch (const Error&) {
    return;  // VALIDATION and `compile` say why
  }
  for (const Instruction& step : program.instructions) {
    const Value& y = program.values[static_cast<size_t>(step.output)];
    std::map<std::string, std::vector<int64_t>> places;
    for (size_t c = 0; c < step.rescale.size(); ++c)
      if (const char* loss = program.march.datapath->loss(step.rescale[c], y.bits))
        places[loss].push_back(static_cast<int64_t>(c));
    for (const auto& [loss, channels] : places)
      lines.push_back(
          text(y.name, ": ", loss, step.weight.defined() ? ", in " + of_channels(channels, step.weight.size(0)) : ""));
  }
}

// LSQ's scales and the like, where steps were longer than they are: they stay at the smallest scale there is.
void collapsed_scales(const PreparedModel& model, Lines& lines) {
  const auto at_floor = [](const Parameter& learned) {
    std::vector<int64_t> places;
    if (learned.defined())
      for (int64_t o = 0; o < learned.tensor().elements(); ++o)
        if (const float number = learned.tensor().at({o}); number != 0 && number <= kMinScale) places.push_back(o);
    return places;
  };
  constexpr const char* kRemedy =
      " fell to the smallest that there is; give learned scales a lower rate, or use fake_quant here";
  for (const ActivationQuantizer* quantizer : model.quantizers())
    if (!at_floor(quantizer->learned).empty())
      lines.push_back(text(quantizer->name(), ": its learned ", quantizer->fake_quant().learned(), kRemedy));
  each_layer(model, [&](const Node& node, const WeightQuantizer& weights, const Folded&) {
    if (const auto places = at_floor(weights.learned); !places.empty())
      lines.push_back(text(node.name, ": the learned ", weights.fake_quant().learned(), " of the weights of ",
                           of_channels(places, weights.learned.tensor().elements()), kRemedy));
  });
}

// How much of a running range comes from the first batch.
double share_of_first(const TensorConfig& config, int64_t batches) {
  double share = 1;
  // From 1 / c on the share falls by the same factor; it is far below what counts by then.
  for (int64_t k = 2; k <= batches && share > kFirstBatch; ++k)
    share *= 1 - batch_weight(config.averaging_constant, k, config.warm_up);
  return share;
}

void few_batches(const PreparedModel& model, Lines& lines) {
  std::map<std::pair<int64_t, double>, Lines> alike;  // by batches and averaging constant
  Lines alone;
  for (const ActivationQuantizer* quantizer : model.quantizers()) {
    const double c = quantizer->config().averaging_constant;
    const int64_t batches = quantizer->batches();
    const bool learning = is_learned(*quantizer) && quantizer->learned.tensor().at({0}) != 0;
    if (batches < 1 || learning || quantizer->observer().fixed_scale()) continue;
    if (batches == 1)
      alone.push_back(quantizer->name());
    else if (c > 0 && share_of_first(quantizer->config(), batches) > kFirstBatch)
      alike[{batches, c}].push_back(quantizer->name());
  }
  if (!alone.empty())
    lines.push_back(text(listed(alone), ": the range is that of one batch alone; calibrate with 10 to 100"));
  for (const auto& [how, names] : alike) {
    const double share = std::pow(1 - how.second, static_cast<double>(how.first - 1));  // only without warm-up
    lines.push_back(text(listed(names), ": ", std::llround(100 * share), " % of the range is that of the first of ",
                         how.first, " batches; more batches, or an averaging_constant above ", how.second,
                         ", or warm_up"));
  }
}

void measured_elsewhere(const PreparedModel& model, Lines& lines) {
  Lines names;
  for (const ActivationQuantizer* quantizer : model.quantizers())
    if (quantizer->is_measured_elsewhere()) names.push_back(quantizer->name());
  if (!names.empty())
    lines.push_back(text(listed(names),
                         ": loaded from a model of other parameters (load_observer_params), whose scales "
                         "may be wrong here; calibrate this one"));
}

void one_sided_inputs(const PreparedModel& model, Lines& lines) {
  for (size_t i = 0; i < model.graph().inputs.size(); ++i) {
    const ActivationQuantizer* quantizer = model.input_quantizer_or_null(i);
    if (quantizer == nullptr || quantizer->batches() == 0) continue;
    const Range range = quantizer->range();
    const float left = std::max(-range.min, 0.0f), right = std::max(range.max, 0.0f);
    if (std::max(left, right) > 0 && std::min(left, right) < kOneSided * std::max(left, right))
      lines.push_back(text(quantizer->name(), ": its values are in ", range.min, "..", range.max,
                           ", which leaves nearly half of the integers unused; normalise it to a mean of 0"));
  }
}

void outputs_in_integers(const PreparedModel& model, Lines& lines) {
  const Graph& graph = model.graph();
  const auto readers = graph.consumers();
  for (const Operand& output : graph.outputs) {
    if (output.kind != Operand::Kind::node || model.is_head(output.index) || model.in_float(output.index)) continue;
    const Node& node = graph.nodes[output.index];
    const FusedConv* conv = fused_conv(node);
    const ActivationQuantizer& source = *scale_source(model, output);
    lines.push_back(text(node.name, ": this output of the network stays int", source.config().bits, ", as ",
                         conv == nullptr                          ? "it is no convolution or linear layer"
                         : skip_of(node) != nullptr               ? "something is added to it"
                         : conv->activation() != Activation::none ? text("it ends in a ", conv->attributes.activation)
                         : readers[output.index].empty()          ? text("its qconfig is that of ", source.source())
                                                                  : std::string("other layers read it"),
                         "; only accumulators are of high precision"));
  }
}

}  // namespace

std::vector<std::string> saturation_warnings(const PreparedModel& model) {
  Lines lines;
  const Arithmetic& march = model.march();
  // `values`: the largest there was; a range may be a mean over batches, or less than all.
  const auto warn = [&](const std::string& what, const Observer& observer, const Range& range, float values,
                        const Bounds& type) {
    const float wanted = scale_from_range(range.min, range.max, type);
    const auto fixed = observer.fixed_scale();
    const float reach = fixed ? values : std::max(-range.min, range.max);
    const float scale = fixed ? *fixed : march.on_grid(wanted);
    // A fixed scale of 1/128 for images within +-1 is meant so: one unit beyond the integers passes.
    if (fixed ? reach > static_cast<float>(type.high + 1) * scale : march.clips(wanted))
      lines.push_back(text(what, fixed ? ": its values reach " : ": its range reaches ", reach, ", but ",
                           fixed ? std::string("its fixed scale") : text("the largest scale of ", march), ", ", scale,
                           ", saturates at ", static_cast<float>(type.high) * scale));
  };
  for (const ActivationQuantizer* quantizer : model.quantizers())
    if (quantizer->batches() > 0 && !is_learned(*quantizer))
      warn(quantizer->name(), quantizer->observer(), quantizer->range(), quantizer->reach(), quantizer->type());
  each_layer(model, [&](const Node&, const WeightQuantizer& weights, const Folded& folded) {
    const ObserverValue fresh = weights.config().make_observer(march, true, true);
    for (int64_t o = 0; o < folded.weight.size(0) && !weights.learned.defined(); ++o) {
      const ObserverValue observer = fresh;
      const Samples channel = Samples::channel(folded.weight, o);
      const Range all = channel.range();
      warn(text(weights.name(), ": weights of output channel ", o), *observer, observer->observe(channel),
           std::max(-all.min, all.max), fresh->type);
    }
  });
  return lines;
}

std::vector<std::string> calibration_warnings(const PreparedModel& model) {
  Lines lines;
  few_batches(model, lines);
  measured_elsewhere(model, lines);
  return lines;
}

std::vector<std::string> warnings(const PreparedModel& model) {
  Lines lines;
  unobserved(model, lines);
  for (std::string& line : saturation_warnings(model)) lines.push_back(std::move(line));
  dead_tensors(model, lines);
  unfit_scales(model, lines);
  channels_of_weights(model, lines);
  coarse_weights(model, lines);
  collapsed_scales(model, lines);
  for (std::string& line : calibration_warnings(model)) lines.push_back(std::move(line));
  one_sided_inputs(model, lines);
  for (std::string& line : unfused_patterns(model.graph())) lines.push_back(std::move(line));
  coarse_rescalings(model, lines);
  outputs_in_integers(model, lines);
  if (model.nans() > 0) lines.push_back(text(model.nans(), " input values were NaN and were taken as 0"));
  return lines;
}

namespace {

// The nodes that have one set of weights.
void shared_weights(const PreparedModel& model, Lines& lines) {
  const Graph& graph = model.graph();
  std::map<int, std::vector<size_t>> layers;  // by the parameter of the weights
  for (size_t i = 0; i < graph.nodes.size(); ++i)
    if (fused_conv(graph.nodes[i]) != nullptr) layers[graph.nodes[i].inputs[1].index];
  for (size_t i = 0; i < graph.nodes.size(); ++i)
    for (const Operand& operand : graph.nodes[i].inputs)
      if (const auto layer = layers.find(operand.index);
          operand.kind == Operand::Kind::parameter && layer != layers.end())
        layer->second.push_back(i);
  const auto path = [&](size_t node) {  // the n-th call of `path` is named `path#n`
    return graph.nodes[node].name.substr(0, graph.nodes[node].name.find('#'));
  };
  for (const auto& [parameter, nodes] : layers) {
    if (nodes.size() < 2) continue;
    Lines names;
    bool calls = true, scales = true;
    for (const size_t i : nodes) {
      names.push_back(graph.nodes[i].name);
      const std::string last = path(i).substr(path(i).rfind('.') + 1);  // operations have names by their kind
      calls = calls && path(i) == path(nodes[0]) && last != graph.nodes[i].op->name();
      scales = scales && model.node_quantizer(i) != nullptr;
    }
    lines.push_back(text(listed(names), calls ? ": calls of one layer" : ": layers with the same weights",
                         scales ? "; each has an activation scale of its own" : ""));
  }
}

}  // namespace

std::vector<std::string> notes(const PreparedModel& model) {
  const Graph& graph = model.graph();
  Lines lines = model.untied(), high, real;
  for (size_t i = 0; i < graph.nodes.size(); ++i) {
    if (model.is_head(i)) high.push_back(graph.nodes[i].name);
    if (model.in_float(i)) real.push_back(graph.nodes[i].name);
  }
  shared_weights(model, lines);
  if (!high.empty()) lines.push_back(text(listed(high), ": of high precision, int32 accumulators as float32"));
  if (!real.empty()) lines.push_back(text(listed(real), kInFloat));
  return lines;
}

}  // namespace sinter::quant
