#include "scale_source.h"

#include <algorithm>

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

}  // namespace sinter::quant
