#include "layers.h"

#include "../core/ops/reduce.h"
#include "fused_conv.h"

namespace sinter::quant {

namespace {

bool is_image_mean(const Graph& graph, const Node& node) {
  const auto* mean = dynamic_cast<const ops::Mean*>(node.op.get());
  if (mean == nullptr || graph.spec(node.inputs[0]).shape.rank() != 4) return false;
  bool height = false, width = false;
  for (const int64_t axis : mean->attributes.axes) {
    height = height || axis == 1 || axis == -3;
    width = width || axis == 2 || axis == -2;
  }
  return height && width && mean->attributes.axes.size() == 2;
}

}  // namespace

Layer layer_of(const Graph& graph, const Node& node) {
  const std::string_view op = node.op->name();
  if (dynamic_cast<const FusedConv*>(node.op.get()) != nullptr) return Layer::conv;
  for (const Operand& operand : node.inputs)
    if (!operand.is_activation()) return Layer::unsupported;
  if (op == "add") return graph.spec(node.inputs[0]) == graph.spec(node.inputs[1]) ? Layer::add : Layer::unsupported;
  if (is_image_mean(graph, node)) return Layer::mean;
  if (op == "relu" || op == "relu6") return Layer::clamp;
  if (op == "max_pool2d" || op == "reshape" || op == "flatten") return Layer::moves;
  return Layer::unsupported;
}

std::string unsupported_reason(const Graph& graph, const Node& node) {
  const std::string_view op = node.op->name();
  if (op == "batch_norm") return "has no convolution or linear layer of its own before it to be folded into";
  if (op == "mean") return "only the mean over the image, axes {1,2} of [N,H,W,C], can be quantised";
  if (op == "add" && node.inputs.size() == 2 && node.inputs[0].is_activation() && node.inputs[1].is_activation())
    return text("adds ", graph.spec(node.inputs[0]).shape, " and ", graph.spec(node.inputs[1]).shape,
                ", expected two tensors of one shape");
  if (op == "linear" && graph.spec(node.inputs[0]).shape.rank() != 2)
    return text("its input is ", graph.spec(node.inputs[0]).shape, ", expected [N,K]");
  if (op == "conv2d" || op == "linear") return "its weight is computed, expected a parameter";
  return text("no integer form of ", op, " is known here");
}

}  // namespace sinter::quant
