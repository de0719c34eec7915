#include "bias_correction.h"

#include <cmath>

#include "../../core/autograd.h"
#include "../../core/format.h"
#include "../../core/table.h"
#include "../../data/data_loader.h"
#include "../fused_conv.h"
#include "../read_inputs.h"
#include "../scale_source.h"
#include "undo.h"

namespace sinter::quant {

namespace {

// Per channel: the sum of values and of their squares.
struct Moments {
  std::vector<double> sum, squares;
  int64_t count = 0;

  void add(const Tensor& values) {
    const auto channels = static_cast<size_t>(values.size(values.rank() - 1));
    sum.resize(channels);
    squares.resize(channels);
    const float* v = values.data<float>();
    for (int64_t rest = values.elements(); rest > 0; rest -= static_cast<int64_t>(channels), v += channels)
      for (size_t c = 0; c < channels; ++c) {
        sum[c] += v[c];
        squares[c] += static_cast<double>(v[c]) * v[c];
      }
    count += values.elements() / static_cast<int64_t>(channels);
  }
  double mean(size_t c) const { return sum[c] / static_cast<double>(count); }
};

double root_mean_square(const std::vector<double>& values) {
  double sum = 0;
  for (const double v : values) sum += v * v;
  return std::sqrt(sum / static_cast<double>(values.size()));
}

class Corrector {
 public:
  Corrector(PreparedModel& model, const data::Dataset& dataset, const CorrectBiasOptions& options)
      : model_(model),
        graph_(model.graph()),
        options_(options),
        loader_(
            dataset,
            {.batch = options.batch, .seed = options.seed, .batches = options.batches, .collate = options.collate}) {}

  std::vector<CorrectedLayer> run() {
    observe_float();
    std::vector<CorrectedLayer> report;
    for (size_t i = 0; i < graph_.nodes.size(); ++i) {
      if (!is_layer(i)) continue;
      report.push_back(correct(i));
      if (options_.on_layer) options_.on_layer(graph_.nodes[i].name);
    }
    undo_.done();
    return report;
  }

 private:
  // Layers on integers; those with one bias would have two errors for it.
  bool is_layer(size_t i) const {
    const Node& node = graph_.nodes[i];
    return model_.weight_quantizer(i) != nullptr && other_reader(graph_, node, node.inputs[2]) == nullptr;
  }

  // The value of a layer before its activation and without what is added to it.
  static Tensor before_activation(const Node& node, const Tensor& x, const Tensor& weight, const Tensor& bias) {
    FusedConvAttributes attributes = static_cast<const FusedConv&>(*node.op).attributes;
    attributes.activation = "none";
    return call(FusedConv(attributes), x, weight, bias);
  }

  const Tensor& parameter(const Operand& operand) const { return graph_.parameters[operand.index].value; }

  void observe_float() {
    float_.resize(graph_.nodes.size());
    const auto see = [&](const Operand& value, const Tensor& x) {
      for (size_t i = 0; i < graph_.nodes.size(); ++i)
        if (const Node& node = graph_.nodes[i]; node.inputs[0] == value && is_layer(i))
          float_[i].add(before_activation(node, x, parameter(node.inputs[1]), parameter(node.inputs[2])));
    };
    for (const auto& batch : loader_.epoch(0)) {
      const std::vector<Tensor> x = read_inputs("correct_bias", options_.inputs, batch, graph_.inputs.size());
      for (size_t i = 0; i < x.size(); ++i) see({Operand::Kind::input, static_cast<int>(i)}, x[i]);
      graph_.run(x, [&](size_t node, const std::vector<Tensor>& outputs) {
        see({Operand::Kind::node, static_cast<int>(node)}, outputs[0]);
      });
    }
  }

  CorrectedLayer correct(size_t index) {
    const Node& node = graph_.nodes[index];
    const Operand from = node.inputs[0];
    const std::string source = integers_of(from);
    const float x_scale = scales_of(model_).of(from);
    const Tensor weight = dequantized_weight(index);

    Moments quantized;
    for (const auto& batch : loader_.epoch(0))
      model_.inspect(options_.inputs(batch), [&](const std::string& name, const Tensor& integers) {
        if (name != source) return;
        Tensor x = integers.to(DType::float32);
        float* v = x.mutable_data<float>();
        for (int64_t i = 0; i < x.elements(); ++i) v[i] *= x_scale;
        quantized.add(before_activation(node, x, weight, parameter(node.inputs[2])));
      });

    const Moments& reference = float_[index];
    std::vector<double> shift, magnitude;
    for (size_t c = 0; c < reference.sum.size(); ++c) {
      shift.push_back(quantized.mean(c) - reference.mean(c));
      magnitude.push_back(std::sqrt(reference.squares[c] / static_cast<double>(reference.count)));
      check(std::isfinite(magnitude[c]) && std::isfinite(shift[c]), "correct_bias: ", node.name, " channel ", c,
            ": the mean of its values is ", reference.mean(c), " in float and ", quantized.mean(c),
            " quantised, expected finite numbers; is a value of an image or a parameter NaN or infinite?");
    }
    Tensor corrected = parameter(node.inputs[2]);
    undo_.keep(corrected);
    float* b = sinter::detail::Access::write<float>(corrected);
    for (size_t c = 0; c < shift.size(); ++c) b[c] = static_cast<float>(b[c] - shift[c]);
    return {node.name, root_mean_square(shift), root_mean_square(magnitude)};
  }

  // The name of an activation's integers in the program: where it is float as well, its own is that of the float one.
  std::string integers_of(const Operand& activation) const {
    if (activation.kind == Operand::Kind::input)
      return model_.input_name(activation.index) + (model_.read_as_real(activation) ? ".quantized" : "");
    return graph_.nodes[activation.index].name + (model_.in_float(activation.index) ? ".quantized" : "");
  }

  // What the integers of a layer's weights stand for.
  Tensor dequantized_weight(size_t index) const {
    const QuantizedWeights q = quantized_weights(model_, index);
    Tensor weight = q.values.to(DType::float32);
    float* w = sinter::detail::Access::write<float>(weight);
    const int64_t each = weight.elements() / weight.size(0);
    for (int64_t k = 0; k < weight.elements(); ++k) w[k] *= q.scales[k / each];
    return weight;
  }

  PreparedModel& model_;
  const Graph& graph_;
  CorrectBiasOptions options_;
  data::DataLoader loader_;
  std::vector<Moments> float_;  // by node
  Undo undo_;
};

void check_rounded_to_nearest(const PreparedModel& model) {
  for (size_t i = 0; i < model.graph().nodes.size(); ++i)
    if (const auto* weights = model.weight_quantizer(i))
      for (const float scale : weights->frozen_state.tensor().values<float>())
        check(
            scale == 0, "correct_bias: the weights of ", weights->name(),
            " have frozen scales, as adaround leaves them: its roundings fit the float network's outputs already, and "
            "leave no bias to correct; use the one or the other on a calibrated model");
}

}  // namespace

std::string to_string(const std::vector<CorrectedLayer>& report) {
  std::vector<std::vector<std::string>> rows{{"layer", "shift", "of values"}};
  for (const CorrectedLayer& layer : report)
    rows.push_back({layer.name, with_digits(layer.shift, 3), with_digits(layer.magnitude, 3)});
  return sinter::detail::table(rows, 1);
}

std::vector<CorrectedLayer> correct_bias(PreparedModel& model, const data::Dataset& dataset,
                                         const CorrectBiasOptions& options) {
  check_folded("correct_bias", model.graph());
  model.check_observed("correct_bias");
  check_rounded_to_nearest(model);
  const NoGrad no_grad;
  const TrainingMode evaluation(false);
  return Corrector(model, dataset, options).run();
}

}  // namespace sinter::quant
