#include "partly_quantized.h"

#include <algorithm>

#include "../../core/autograd.h"
#include "../../core/ops/pad.h"
#include "../../core/ops/resize.h"
#include "../fused_conv.h"
#include "../integer/values.h"
#include "../scale_source.h"

namespace sinter::quant {

namespace {

// x as integers times their scale.
struct Rounded final : Op {
  Grid grid;
  Rounding rounding = Rounding::half_to_even;

  std::string_view name() const override { return "rounded"; }
  Specs infer(std::span<const Spec> x) const override { return {x[0]}; }
  void forward(Inputs x, Outputs y, Context&) const override {
    Tensor integers = Tensor::empty(x[0].shape(), grid.dtype);
    sinter::quant::quantize(x[0], {&grid.scale, 1}, grid.bounds, rounding, integers);
    y[0].copy_from(dequantize(integers, grid.scale));
  }
};

// A ReLU6 that ends at an integer times the scale.
struct Limited final : Op {
  float top = 6;

  std::string_view name() const override { return "limited"; }
  Specs infer(std::span<const Spec> x) const override { return {x[0]}; }
  void forward(Inputs x, Outputs y, Context&) const override {
    const auto from = x[0].values<float>();
    float* out = y[0].mutable_data<float>();
    for (size_t i = 0; i < from.size(); ++i) out[i] = std::clamp(from[i], 0.0f, top);
  }
};

// Whether a node, on its input's scale, makes values between integers.
bool interpolates(const Node& node) {
  const auto* resize = dynamic_cast<const ops::Resize*>(node.op.get());
  return resize != nullptr && resize->attributes.mode == "bilinear";
}

// An operation on its input's scale whose numbers are rounded to it: a pad's border, the 6 of a ReLU6. Null for others.
std::shared_ptr<const Op> with_rounded_numbers(const Node& node, const Grid& grid, Rounding rounding) {
  const auto rounded = [&](double v) {
    return static_cast<float>(quantize(static_cast<float>(v), 1 / grid.scale, grid.bounds, rounding)) * grid.scale;
  };
  if (node.op->name() == "relu6") {
    Limited op;
    op.top = rounded(6);
    return std::make_shared<Limited>(op);
  }
  const auto* pad = dynamic_cast<const ops::Pad*>(node.op.get());
  if (pad == nullptr || pad->attributes.value == 0) return nullptr;
  PadAttributes attributes = pad->attributes;
  attributes.value = static_cast<double>(rounded(attributes.value));
  return std::make_shared<ops::Pad>(attributes);
}

// What the integers of a layer's weights and bias stand for.
void quantize_weights(const PreparedModel& model, const Scales& scales, size_t index, PartlyQuantized::Unit& unit) {
  const QuantizedWeights q = quantized_weights(model, scales, index);
  const float x_scale = scales.of(model.graph().nodes[index].inputs[0]);
  unit.weight = q.values.to(DType::float32);
  unit.bias = Tensor::empty({static_cast<int64_t>(q.scales.size())});
  float *w = sinter::detail::Access::write<float>(unit.weight), *b = sinter::detail::Access::write<float>(unit.bias);
  const auto outputs = static_cast<int64_t>(q.scales.size()), each = unit.weight.elements() / outputs;
  for (int64_t o = 0; o < outputs; ++o) {
    for (int64_t k = o * each; k < (o + 1) * each; ++k) w[k] *= q.scales[o];
    b[o] = dequantize(q.bias[o], x_scale, q.scales[o]);
  }
}

}  // namespace

PartlyQuantized::PartlyQuantized(const char* what, const PreparedModel& model) : rounding_(model.march().rounding) {
  model.check_observed(what);
  const Graph& graph = model.graph();
  float_ = graph.share();

  const Scales scales = scales_of(model);
  const auto grid = [&](const Operand& of, Activation activation) {
    const ActivationQuantizer& quantizer = *scale_source(model, of);
    const float scale = scales.of(of);
    return Grid{scale, output_bounds(activation, scale, rounding_, quantizer.bounds()), quantizer.dtype(),
                quantizer.config().bits};
  };
  for (size_t i = 0; i < graph.inputs.size(); ++i)
    if (const Operand self{Operand::Kind::input, static_cast<int>(i)}; model.input_quantizer_or_null(i) != nullptr)
      units_.push_back({model.input_name(i), self, grid(self, Activation::none)});
  for (size_t i = 0; i < graph.nodes.size(); ++i) {
    const Node& node = graph.nodes[i];
    in_float_.push_back(model.in_float(i));
    const Operand self{Operand::Kind::node, static_cast<int>(i)};
    Unit unit{node.name, self};
    const FusedConv* conv = model.in_float(i) ? nullptr : fused_conv(node);
    if (conv != nullptr) quantize_weights(model, scales, i, unit);
    if (model.node_quantizer(i) != nullptr)
      unit.grid = grid(self, conv == nullptr ? Activation::none : conv->activation());
    else if (interpolates(node) && !model.in_float(i))
      unit.grid = grid(node.inputs[0], Activation::none);
    else if (scale_source(model, self) != nullptr)
      unit.op = with_rounded_numbers(node, grid(self, Activation::none), rounding_);
    if (unit.grid || unit.weight.defined() || unit.op != nullptr) units_.push_back(std::move(unit));
  }
}

void PartlyQuantized::quantize(Graph& graph, const Unit& unit) const {
  if (unit.weight.defined()) {
    Node& node = graph.nodes[unit.operand.index];
    const Operand* skip = skip_of(node);
    std::vector<Operand> inputs{node.inputs[0]};
    for (const Tensor* value : {&unit.weight, &unit.bias}) {
      inputs.push_back({Operand::Kind::parameter, static_cast<int>(graph.parameters.size())});
      graph.parameters.push_back({node.name + (value == &unit.weight ? ".weight" : ".bias"), Parameter(*value, false)});
    }
    if (skip != nullptr) inputs.push_back(*skip);
    FusedConvAttributes attributes = fused_conv(node)->attributes;
    attributes.batch_norm = attributes.frozen = false;  // it is folded
    node.op = std::make_shared<FusedConv>(attributes);
    node.inputs = std::move(inputs);
  }
  if (unit.op != nullptr) graph.nodes[unit.operand.index].op = unit.op;
  if (!unit.grid) return;
  const Operand from = unit.operand, to{Operand::Kind::node, static_cast<int>(graph.nodes.size())};
  Rounded op;
  op.grid = *unit.grid;
  op.rounding = rounding_;
  // What is float is read as it is by operations in float, and is given so.
  bool is_real = from.kind == Operand::Kind::node && in_float_[from.index];
  const bool may_be_real = is_real || from.kind == Operand::Kind::input;
  for (size_t i = 0; i < graph.nodes.size(); ++i)
    for (Operand& operand : graph.nodes[i].inputs) {
      if (!(operand == from)) continue;
      if (may_be_real && i < in_float_.size() && in_float_[i])
        is_real = true;
      else
        operand = to;
    }
  for (Operand& operand : graph.outputs)
    if (operand == from && !is_real) operand = to;
  graph.nodes.push_back({unit.name + ".rounded", {}, std::make_shared<Rounded>(op), {from}, {float_.spec(from)}});
}

Graph PartlyQuantized::graph(const std::vector<bool>& quantized) const {
  Graph graph = float_.share();
  for (size_t i = 0; i < units_.size(); ++i)
    if (quantized[i]) quantize(graph, units_[i]);
  graph.canonicalize();
  return graph;
}

std::function<std::vector<Tensor>(std::span<const Tensor>)> PartlyQuantized::forward(
    const std::vector<bool>& quantized) const {
  const auto network = std::make_shared<const Graph>(graph(quantized));
  return [network](std::span<const Tensor> x) { return network->run({x.begin(), x.end()}); };
}

std::vector<bool> PartlyQuantized::only(size_t unit) const {
  std::vector<bool> quantized = none();
  quantized[unit] = true;
  return quantized;
}

}  // namespace sinter::quant
