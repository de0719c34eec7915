#include "scale_source.h"

#include <algorithm>

#include "fused_conv.h"

namespace sinter::quant {

Scales scales_of(const PreparedModel& model) {
  Scales scales;
  const auto known = [&](const ActivationQuantizer* quantizer, float input_scale) {
    return quantizer != nullptr && quantizer->observed() ? quantizer->scale(model.march(), input_scale) : 0.0f;
  };
  const Graph& graph = model.graph();
  for (size_t i = 0; i < graph.inputs.size(); ++i) scales.inputs.push_back(known(model.input_quantizer_or_null(i), 0));
  for (size_t i = 0; i < graph.nodes.size(); ++i) {
    const Node& node = graph.nodes[i];
    float input_scale = 0;
    for (const Operand& operand : node.inputs)
      if (operand.is_activation() && !model.in_float(i)) input_scale = std::max(input_scale, scales.of(operand));
    const bool passes = model.node_quantizer(i) == nullptr && !model.is_head(i) && !model.in_float(i);
    scales.nodes.push_back(passes ? scales.of(node.inputs[0]) : known(model.node_quantizer(i), input_scale));
  }
  return scales;
}

QuantizedWeights quantized_weights(const PreparedModel& model, const Scales& scales, size_t node) {
  const Node& layer = model.graph().nodes.at(node);
  const Folded folded = folded_weights(model.graph(), layer);
  const Operand* added = skip_of(layer);
  const ActivationQuantizer* source = added == nullptr ? nullptr : scale_source(model, *added);
  Grid skip;
  if (source != nullptr) skip = {scales.of(*added), source->bounds(), source->dtype(), source->config().bits};
  return model.weight_quantizer(node)->quantize(model.march(), folded.weight, folded.bias, scales.of(layer.inputs[0]),
                                                source == nullptr ? nullptr : &skip);
}

QuantizedWeights quantized_weights(const PreparedModel& model, size_t node) {
  return quantized_weights(model, scales_of(model), node);
}

}  // namespace sinter::quant
