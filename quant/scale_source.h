#pragma once
// Private: where the scale of an activation comes from.

#include <optional>

#include "fused_conv.h"
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

/// The grid of what a convolution adds; none where it adds nothing.
inline std::optional<Grid> skip_grid(const PreparedModel& model, size_t node) {
  const Operand* added = skip_of(model.graph().nodes.at(node));
  const ActivationQuantizer* source = added == nullptr ? nullptr : scale_source(model, *added);
  if (source == nullptr) return std::nullopt;
  return Grid{source->scale(model.march()), source->bounds(), source->dtype(), source->config().bits};
}

/// The integers of a layer's weights and bias, folded.
inline QuantizedWeights quantized_weights(const PreparedModel& model, size_t node) {
  const Node& layer = model.graph().nodes.at(node);
  const Folded folded = folded_weights(model.graph(), layer);
  const std::optional<Grid> skip = skip_grid(model, node);
  return model.weight_quantizer(node)->quantize(model.march(), folded.weight, folded.bias,
                                                scale_source(model, layer.inputs[0])->scale(model.march()),
                                                skip ? &*skip : nullptr);
}

}  // namespace sinter::quant
