#pragma once
// Private: where the scale of an activation comes from.

#include "prepare.h"

namespace sinter::quant {

/// The quantiser whose scale the integers of an activation have: its own, or that of what it only moves or clamps. Null
/// for accumulators and for what stays float.
inline const ActivationQuantizer* scale_source(const PreparedModel& model, Operand activation) {
  while (activation.kind == Operand::Kind::node) {
    const auto node = static_cast<size_t>(activation.index);
    if (const auto* quantizer = model.node_quantizer(node)) return quantizer;
    if (model.is_head(node) || model.in_float(node)) return nullptr;
    activation = model.graph().nodes[node].inputs[0];
  }
  return activation.kind == Operand::Kind::input ? model.input_quantizer_or_null(activation.index) : nullptr;
}

/// The scales of all activations' integers; 0 where they are not known yet, for accumulators and for what stays float.
struct Scales {
  std::vector<float> inputs, nodes;
  float of(const Operand& activation) const {
    return activation.kind == Operand::Kind::input ? inputs[activation.index] : nodes[activation.index];
  }
};
/// Throws Error as ActivationQuantizer::scale does.
Scales scales_of(const PreparedModel& model);

/// The integers of a layer's weights and bias, folded. `scales` are the model's.
QuantizedWeights quantized_weights(const PreparedModel& model, const Scales& scales, size_t node);
QuantizedWeights quantized_weights(const PreparedModel& model, size_t node);

}  // namespace sinter::quant
