#pragma once
// QAT once more: the graph of a prepared model as a float network with fake quantisation.

#include <algorithm>
#include <cmath>

#include "../../core/ops/conv2d.h"
#include "../../core/ops/conv_transpose2d.h"
#include "../../core/ops/linear.h"
#include "../../core/ops/relu.h"
#include "../../core/ops/relu6.h"
#include "../../quant/fused_conv.h"
#include "networks.h"

namespace sinter::test {

using quant::ActivationQuantizer;
using quant::FusedConv;
using quant::PreparedModel;
using quant::Samples;

// Scales that are powers of two: every multiplier is exact, so that float networks round to the same integers.
inline const quant::March kExact{.name = "exact", .power_of_two_scales = true};

// clamp(round(v / s), -128, 127) s, straight through where it did not clamp.
struct Rounded final : Op {
  float scale = 1;
  std::string_view name() const override { return "rounded"; }
  Specs infer(std::span<const Spec> x) const override { return {x[0]}; }
  void forward(Inputs x, Outputs y, Context& context) const override {
    context.keep(x[0]);
    for (int64_t i = 0; i < x[0].elements(); ++i)
      y[0].mutable_data<float>()[i] = std::clamp(unclamped(x[0], i), -128.0f, 127.0f) * scale;
  }
  void backward(const Context& context, Outputs dy, Gradients& dx) const override {
    const Tensor x = context.kept(0);
    float* out = dx.create(0).mutable_data<float>();
    for (int64_t i = 0; i < x.elements(); ++i) {
      const float r = unclamped(x, i);
      out[i] = r >= -128 && r <= 127 ? dy[0].data<float>()[i] : 0;
    }
  }
  float unclamped(const Tensor& x, int64_t i) const { return std::nearbyint(x.data<float>()[i] / scale); }
};

// Weights [O,...] by their channel's maximum, or biases [O] on given grids; the gradient passes everywhere.
struct RoundedChannels final : Op {
  std::vector<float> scales;
  std::string_view name() const override { return "rounded channels"; }
  Specs infer(std::span<const Spec> x) const override { return {x[0]}; }
  void forward(Inputs x, Outputs y, Context&) const override {
    const int64_t each = x[0].elements() / x[0].size(0);
    const float limit = each == 1 && x[0].rank() == 1 ? 0x1p30f : 127.0f;
    for (int64_t i = 0; i < x[0].elements(); ++i) {
      const float s = scales[static_cast<size_t>(i / each)];
      y[0].mutable_data<float>()[i] = std::fmin(std::nearbyint(x[0].data<float>()[i] / s), limit) * s;
    }
  }
  void backward(const Context&, Outputs dy, Gradients& dx) const override { dx.set(0, dy[0]); }
};

// Weights [O,KH,KW,I] with their kernels turned by half.
struct Turned final : Op {
  std::string_view name() const override { return "turned"; }
  Specs infer(std::span<const Spec> x) const override { return {x[0]}; }
  void forward(Inputs x, Outputs y, Context&) const override { turn(x[0], y[0]); }
  void backward(const Context& context, Outputs dy, Gradients& dx) const override {
    Tensor result = Tensor::empty(context.input(0).shape);
    turn(dy[0], result);
    dx.set(0, result);
  }
  static void turn(const Tensor& x, Tensor& y) {
    const int64_t outputs = x.size(0), height = x.size(1), width = x.size(2), inputs = x.size(3);
    for (int64_t o = 0; o < outputs; ++o)
      for (int64_t k = 0; k < height * width; ++k)
        for (int64_t i = 0; i < inputs; ++i)
          y.mutable_data<float>()[(o * height * width + k) * inputs + i] =
              x.data<float>()[(o * height * width + height * width - 1 - k) * inputs + i];
  }
};

// The prepared model's graph in float. (Every layer's exact value must lie on the grid where its scale passes through.)
inline Tensor float_qat(const PreparedModel& model, const Tensor& input, const std::vector<Tensor>& parameters) {
  const Graph& graph = model.graph();
  const auto rounded = [&](const Tensor& v, const ActivationQuantizer& quantizer) {
    Rounded op;
    op.scale = quantizer.scale(model.march());
    return call(op, v);
  };
  const Tensor x = rounded(input, model.input_quantizer(0));
  std::vector<Tensor> values(graph.nodes.size());
  std::vector<float> scales(graph.nodes.size());
  for (size_t i = 0; i < graph.nodes.size(); ++i) {
    const Node& node = graph.nodes[i];
    const auto value = [&](size_t k) {
      return node.inputs[k].kind == Operand::Kind::input ? x : values[static_cast<size_t>(node.inputs[k].index)];
    };
    const float x_scale = node.inputs[0].kind == Operand::Kind::input
                              ? model.input_quantizer(0).scale(model.march())
                              : scales[static_cast<size_t>(node.inputs[0].index)];
    Tensor y;
    if (const auto* conv = dynamic_cast<const FusedConv*>(node.op.get())) {
      const auto& a = conv->attributes;
      RoundedChannels of_weight, of_bias;
      const Tensor &w = parameters[static_cast<size_t>(node.inputs[1].index)],
                   &b = parameters[static_cast<size_t>(node.inputs[2].index)];
      for (int64_t o = 0; o < w.size(0); ++o) {
        const quant::Range range = Samples::channel(w, o).range();
        of_weight.scales.push_back(model.march().on_grid(std::max(-range.min, range.max) / 127.5f));
        of_bias.scales.push_back(of_weight.scales.back() * x_scale);
      }
      const Tensor wq = call(of_weight, w), bq = call(of_bias, b);
      if (a.linear)
        y = linear(value(0), wq, bq);
      else if (a.transposed)
        y = conv_transpose2d(value(0), call(Turned{}, wq), bq,
                             {.stride = a.stride,
                              .padding = a.padding,
                              .output_padding = a.output_padding,
                              .dilation = a.dilation,
                              .groups = a.groups});
      else
        y = conv2d(value(0), wq, bq,
                   {.stride = a.stride, .padding = a.padding, .dilation = a.dilation, .groups = a.groups});
      if (node.inputs.size() == 4) y = y + value(3);
      if (a.activation == "relu") y = relu(y);
      if (a.activation == "relu6") y = relu6(y);
    } else {
      std::vector<Tensor> operands;
      for (size_t k = 0; k < node.inputs.size(); ++k)
        operands.push_back(node.inputs[k].kind == Operand::Kind::parameter
                               ? parameters[static_cast<size_t>(node.inputs[k].index)]
                               : value(k));
      y = call_all(node.op, operands)[0];
      if (node.op->name() == "resize") {  // the only one that leaves the grid of its input
        Rounded on_grid;
        on_grid.scale = x_scale;
        y = call(on_grid, y);
      }
    }
    const ActivationQuantizer* quantizer = model.node_quantizer(i);
    scales[i] = quantizer == nullptr ? x_scale : quantizer->scale(model.march());
    values[i] = quantizer == nullptr ? y : rounded(y, *quantizer);
  }
  return values[static_cast<size_t>(graph.outputs[0].index)];
}

inline void check_against_float(PreparedModel& model, const Tensor& x) {
  model.eval();
  std::vector<Tensor> parameters;
  for (const auto& parameter : model.graph().parameters)
    parameters.push_back(parameter.value.tensor().clone().set_requires_grad(true));
  Tensor theirs = x.clone(), ours = x.clone();
  theirs.set_requires_grad(true);
  ours.set_requires_grad(true);
  const Tensor expected = float_qat(model, theirs, parameters), actual = model(ours);
  CHECK_CLOSE(actual, expected, 1e-4, 1e-4);
  const Tensor dy = images(expected.shape(), 11);
  expected.backward(dy);
  actual.backward(dy);
  CHECK_CLOSE(ours.grad(), theirs.grad(), 1e-3, 1e-5);
  for (size_t i = 0; i < parameters.size(); ++i) {
    CAPTURE(model.graph().parameters[i].name);
    CHECK_CLOSE(model.graph().parameters[i].value.tensor().grad(), parameters[i].grad(), 1e-3, 1e-4);
  }
}

}  // namespace sinter::test
