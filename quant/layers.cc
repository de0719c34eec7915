#include "layers.h"

#include "../core/ops/max_pool2d.h"
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
  if (fused_conv(node) != nullptr) return Layer::conv;
  for (const Operand& operand : node.inputs)
    if (!operand.is_activation()) return Layer::unsupported;
  if (op == "add") return graph.spec(node.inputs[0]) == graph.spec(node.inputs[1]) ? Layer::add : Layer::unsupported;
  if (is_image_mean(graph, node)) return Layer::mean;
  if (op == "relu" || op == "relu6") return Layer::clamp;
  if (dynamic_cast<const ops::MaxPool2d*>(node.op.get()) != nullptr) return Layer::moves;
  if (op == "reshape" || op == "flatten") return Layer::moves;
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
  return text("no integer form of ", op, " is known here; set it to float (quant::run_in_float) to keep it on the CPU");
}

std::vector<bool> may_be_negative(const Graph& graph) {
  std::vector<bool> result(graph.nodes.size(), true);
  const auto operand = [&](const Operand& o) { return o.kind != Operand::Kind::node || result[o.index]; };
  for (size_t i = 0; i < graph.nodes.size(); ++i) {
    const Node& node = graph.nodes[i];
    switch (layer_of(graph, node)) {
      case Layer::conv:
        result[i] = fused_conv(node)->activation() == Activation::none;
        break;
      case Layer::add:
        result[i] = operand(node.inputs[0]) || operand(node.inputs[1]);
        break;
      case Layer::clamp:
        result[i] = false;
        break;
      case Layer::mean:
      case Layer::moves:
        result[i] = operand(node.inputs[0]);
        break;
      case Layer::unsupported:
        result[i] = node.op->name() != "softmax";
        break;
    }
  }
  return result;
}

std::vector<Multiplier> multipliers(const std::string& node, const March& march, const std::vector<double>& unit,
                                    int64_t divisor, const Grid* skip, float y_scale) {
  const double skip_ratio = skip == nullptr ? 0 : static_cast<double>(skip->scale) / y_scale;
  std::vector<Multiplier> result;
  for (const double u : unit)
    result.push_back(multiplier(march, u / (static_cast<double>(divisor) * y_scale), skip_ratio,
                                skip == nullptr ? Bounds{0, 0} : skip->bounds, node.c_str()));
  return result;
}

Instruction layer_instruction(const Graph& graph, const Node& node, const std::vector<Grid>& x, const March& march,
                              Grid& y) {
  Instruction step;
  step.inputs = {0};
  step.op = node.op;
  const auto passes = [&] {
    y.scale = x[0].scale;
    y.dtype = x[0].dtype;
  };
  switch (layer_of(graph, node)) {
    case Layer::add: {
      step.opcode = Opcode::add;
      step.inputs = {0, 1};
      if (x[1].scale > x[0].scale) step.inputs = {1, 0};  // n comes from the larger ratio
      const Grid &large = x[step.inputs[0]], &small = x[step.inputs[1]];
      step.rescale = multipliers(node.name, march, {static_cast<double>(large.scale)}, 1, &small, y.scale);
      break;
    }
    case Layer::mean: {
      step.opcode = Opcode::mean;
      const Shape& image = graph.spec(node.inputs[0]).shape;
      const int64_t positions = image[1] * image[2];
      check(positions < (int64_t{1} << (x[0].dtype == DType::int16 ? 15 : 23)), node.name, ": the mean of an image ",
            image, " of ", x[0].dtype, " could overflow its 32-bit sum");
      step.rescale = multipliers(node.name, march, {static_cast<double>(x[0].scale)}, positions, nullptr, y.scale);
      break;
    }
    case Layer::clamp:
      step.opcode = Opcode::clamp;
      passes();
      y.bounds = output_bounds(activation_named(std::string(node.op->name())), x[0].scale, march.rounding, x[0].bounds);
      break;
    case Layer::moves:
      passes();
      y.bounds = x[0].bounds;
      step.opcode = dynamic_cast<const ops::MaxPool2d*>(node.op.get()) != nullptr ? Opcode::max_pool : Opcode::reshape;
      break;
    case Layer::conv:
    case Layer::unsupported:
      fail(node.name, ": is no layer of integers");
  }
  return step;
}

}  // namespace sinter::quant
