#include "layers.h"

#include <algorithm>
#include <cmath>

#include "../core/ops/concat.h"
#include "../core/ops/max_pool2d.h"
#include "../core/ops/pad.h"
#include "../core/ops/reduce.h"
#include "../core/ops/slice.h"
#include "fuse.h"
#include "fused_conv.h"
#include "integer/avg_pool.h"
#include "tables.h"

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

bool is_arithmetic(std::string_view op) { return op == "add" || op == "sub" || op == "mul"; }

// Whether an operation takes indices of the batch, or adds some: a program's batch is any.
bool touches_batch(const Graph& graph, const Node& node) {
  const int rank = graph.spec(node.inputs[0]).shape.rank();
  if (const auto* concat = dynamic_cast<const ops::Concat*>(node.op.get()))
    return normalize_axis(concat->attributes.axis, rank, "concat") == 0;
  if (const auto* slice = dynamic_cast<const ops::Slice*>(node.op.get()))
    return normalize_axis(slice->attributes.axis, rank, "slice") == 0;
  const auto* pad = dynamic_cast<const ops::Pad*>(node.op.get());
  if (pad == nullptr) return false;
  const auto& a = pad->attributes;
  return (!a.before.empty() && a.before[0] != 0) || (!a.after.empty() && a.after[0] != 0);
}

}  // namespace

Layer layer_of(const Graph& graph, const Node& node) {
  const std::string_view op = node.op->name();
  if (fused_conv(node) != nullptr) return Layer::conv;
  if (op == "prelu")
    return node.inputs[0].is_activation() && !node.inputs[1].is_activation() ? Layer::prelu : Layer::unsupported;
  for (const Operand& operand : node.inputs)
    if (!operand.is_activation()) return Layer::unsupported;
  if (is_arithmetic(op)) {
    if (graph.spec(node.inputs[0]).shape.rank() != graph.spec(node.inputs[1]).shape.rank()) return Layer::unsupported;
    return op == "mul" ? Layer::mul : Layer::add;
  }
  if (is_image_mean(graph, node)) return Layer::mean;
  if (op == "avg_pool2d") return Layer::avg_pool;
  if (has_table(op)) return Layer::table;
  if (op == "relu" || op == "relu6") return Layer::clamp;
  if (op == "max_pool2d" || op == "reshape" || op == "flatten") return Layer::moves;
  if (op == "pixel_shuffle" || op == "resize") return Layer::rearranges;
  if (op == "concat" || op == "slice" || op == "pad") {
    if (touches_batch(graph, node)) return Layer::unsupported;
    return op == "concat" ? Layer::concat : Layer::rearranges;
  }
  return Layer::unsupported;
}

namespace {

std::string why_unsupported(const Graph& graph, const Node& node) {
  const std::string_view op = node.op->name();
  if (op == "batch_norm") return why_not_folded(graph, node);
  if (op == "mean") return "only the mean over the image, axes {1,2} of [N,H,W,C], can be quantised";
  if (is_arithmetic(op)) {
    for (const Operand& operand : node.inputs)
      if (!operand.is_activation()) return text("one operand of ", op, " is a number or a parameter");
    return text(op, " of ", graph.spec(node.inputs[0]).shape, " and ", graph.spec(node.inputs[1]).shape,
                ", expected as many axes");
  }
  if (op == "prelu") return "its slopes are computed, expected a parameter";
  if (op == "linear" && graph.spec(node.inputs[0]).shape.rank() != 2)
    return text("its input is ", graph.spec(node.inputs[0]).shape, ", expected [N,K]");
  if (op == "conv2d" || op == "linear" || op == "conv_transpose2d") {
    for (size_t i = 1; i < node.inputs.size(); ++i)
      if (node.inputs[i].is_activation()) return "its weight is computed, expected a parameter";
    return "its padding is more than its kernel reaches";
  }
  if (op == "concat" || op == "slice" || op == "pad") return "one of its inputs is a number or a parameter";
  return text("no integer form of ", op, " is known here");
}

}  // namespace

std::string unsupported_reason(const Graph& graph, const Node& node) {
  const std::string_view op = node.op->name();
  if ((op == "concat" || op == "slice" || op == "pad") && touches_batch(graph, node))
    return "its axis is the batch's, which can have any size; do this outside of the network";
  return why_unsupported(graph, node) + "; set it to float (quant::run_in_float) to keep it on the CPU";
}

std::vector<bool> may_be_negative(const Graph& graph) {
  std::vector<bool> result(graph.nodes.size(), true);
  const auto operand = [&](const Operand& o) { return o.kind != Operand::Kind::node || result[o.index]; };
  for (size_t i = 0; i < graph.nodes.size(); ++i) {
    const Node& node = graph.nodes[i];
    const std::string_view op = node.op->name();
    bool any = false;  // of the operands
    for (const Operand& o : node.inputs) any = any || (o.is_activation() && operand(o));
    switch (layer_of(graph, node)) {
      case Layer::conv:
        result[i] = fused_conv(node)->activation() == Activation::none;
        break;
      case Layer::add:
        result[i] = any || op == "sub";
        break;
      case Layer::clamp:
        result[i] = false;
        break;
      case Layer::table:
        result[i] = any && op != "sigmoid" && op != "hardsigmoid";  // none is negative for x >= 0
        break;
      case Layer::rearranges: {
        const auto* pad = dynamic_cast<const ops::Pad*>(node.op.get());
        result[i] = any || (pad != nullptr && pad->attributes.value < 0);
        break;
      }
      case Layer::mul:
      case Layer::mean:
      case Layer::avg_pool:
      case Layer::concat:
      case Layer::prelu:
      case Layer::moves:
        result[i] = any;
        break;
      case Layer::unsupported:
        result[i] = op != "softmax";
        break;
    }
  }
  return result;
}

namespace {

// What `make` gives for a node; where no integers reach a ratio, says so for the node, and why that may be.
template <class Make>
Rescaling explained(const std::string& node, const Make& make) {
  try {
    return make();
  } catch (const Error& error) {
    fail(
        node, ": ", error.what(),
        "; the output's scale is too small for what it holds (calibration saw only zeros, a learned one has collapsed, "
        "or training diverged: lower the learning rate, that of learned scales by a rule for *.scale), or operands are "
        "of scales too far apart (their qconfigs by_path)");
  }
}

// Its sums fit, for operands that reach so far.
Rescaling checked(const Datapath& datapath, const Rescaling& by, int64_t a_reach, int64_t b_reach = 0) {
  datapath.check_rescaling(by, a_reach, b_reach);
  return by;
}

}  // namespace

std::vector<Rescaling> channel_rescalings(const std::string& node, const March& march, const std::vector<double>& unit,
                                          const Grid* skip, const Grid& y) {
  std::vector<Rescaling> result;
  for (const double u : unit)
    result.push_back(explained(node, [&] {
      return skip == nullptr ? march.datapath->accumulator(u, y) : march.datapath->residual(u, *skip, y);
    }));
  return result;
}

namespace {

// 32 bits hold the sum of so many values.
void check_sum(const Node& node, int64_t count, DType dtype) {
  check(count < (int64_t{1} << (dtype == DType::int16 ? 15 : 23)), node.name, ": the mean of ", count, " values of ",
        dtype, " could overflow its 32-bit sum");
}

Tensor slopes_of(const Graph& graph, const Node& node) {
  const Operand& slopes = node.inputs[1];
  return slopes.kind == Operand::Kind::parameter ? graph.parameters[slopes.index].value.tensor().clone()
                                                 : graph.constants[slopes.index];
}

}  // namespace

Bounds passed_bounds(const Node& node, const Grid& x, Rounding rounding) {
  const std::string op(node.op->name());
  if (op == "relu" || op == "relu6") return output_bounds(activation_named(op), x.scale, rounding, x.bounds);
  const auto* pad = dynamic_cast<const ops::Pad*>(node.op.get());
  if (pad == nullptr) return x.bounds;
  const Bounds wide = type_bounds(x.bits), type = x.bounds.high > wide.high ? type_bounds(x.bits, false) : wide;
  const int32_t border = quantize(static_cast<float>(pad->attributes.value), 1.0f / x.scale, type, rounding);
  return {std::min(x.bounds.low, border), std::max(x.bounds.high, border)};
}

Instruction layer_instruction(const Graph& graph, const Node& node, const std::vector<Grid>& x, const Arithmetic& march,
                              Grid& y) {
  Instruction step;
  step.op = node.op;
  for (size_t i = 0; i < x.size(); ++i) step.inputs.push_back(static_cast<int>(i));
  const auto passes = [&](Opcode opcode) {
    step.opcode = opcode;
    y = x[0];
    y.bounds = passed_bounds(node, x[0], march.rounding);
  };
  const Datapath& datapath = *march.datapath;
  const double x_scale = x[0].scale;
  const int64_t x_reach = x[0].bounds.reach();
  const auto rescales = [&](Opcode opcode, const auto& make) {
    step.opcode = opcode;
    step.rescale.push_back(explained(node.name, make));
  };
  const auto averages = [&](Opcode opcode, int64_t count) {
    rescales(opcode, [&] { return checked(datapath, datapath.mean(x_scale, count, y), count * x_reach); });
  };
  const std::string_view op = node.op->name();
  switch (layer_of(graph, node)) {
    case Layer::add:
      rescales(Opcode::add, [&] {
        const double second = x[1].scale;
        return checked(datapath,
                       datapath.sum(x_scale, op == "sub" ? -second : second, std::max(x[0].bits, x[1].bits), y),
                       x_reach, x[1].bounds.reach());
      });
      break;
    case Layer::mul:
      rescales(Opcode::mul, [&] {
        return checked(datapath, datapath.accumulator(x_scale * static_cast<double>(x[1].scale), y),
                       x_reach * x[1].bounds.reach());
      });
      break;
    case Layer::mean: {
      const Shape& image = graph.spec(node.inputs[0]).shape;
      check_sum(node, image[1] * image[2], x[0].dtype);
      averages(Opcode::mean, image[1] * image[2]);
      break;
    }
    case Layer::avg_pool: {
      const AvgPoolPlan plan(static_cast<const ops::AvgPool2d&>(*node.op).attributes, graph.spec(node.inputs[0]).shape,
                             node.outputs[0].shape);
      check_sum(node, plan.counts.back(), x[0].dtype);
      for (const int64_t count : plan.counts) averages(Opcode::avg_pool, count);
      break;
    }
    case Layer::concat:
      for (const Grid& part : x)
        rescales(Opcode::concat, [&] { return checked(datapath, datapath.narrow(part, y), part.bounds.reach()); });
      break;
    case Layer::table:
      step.opcode = Opcode::table;
      step.table = make_table(*node.op, x[0], y, march.rounding);
      break;
    case Layer::prelu:
      step.opcode = Opcode::prelu;
      step.constants = {Tensor(), slopes_of(graph, node)};
      for (const float slope : step.constants[1].values<float>())
        rescales(Opcode::prelu, [&] {
          return checked(datapath, datapath.sum(x_scale, x_scale * static_cast<double>(slope), x[0].bits, y), x_reach,
                         x_reach);
        });
      break;
    case Layer::clamp:
      passes(Opcode::clamp);
      break;
    case Layer::moves:
      passes(op == "max_pool2d" ? Opcode::max_pool : Opcode::reshape);
      break;
    case Layer::rearranges:
      passes(op == "resize" ? Opcode::resize : Opcode::move);
      break;
    case Layer::conv:
    case Layer::unsupported:
      fail(node.name, ": is no layer of integers");
  }
  return step;
}

}  // namespace sinter::quant
