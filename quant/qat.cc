#include "qat.h"

#include <algorithm>

#include "../core/op_work.h"
#include "../core/ops/batch_norm.h"
#include "../core/within.h"
#include "layers/checks.h"
#include "layers/list.h"
#include "ops/conv.h"
#include "ops/input.h"
#include "ops/layer.h"

namespace sinter::quant {

namespace {

// One tensor on its way through the graph: as integers, as real numbers, or both.
struct Flow {
  Tensor integers, real;
  Grid grid;
};

class Qat {
 public:
  Qat(const PreparedModel& model, const QatOptions& options)
      : model_(model),
        graph_(model.graph()),
        options_(options),
        pass_{&model.march(), options.training, options.observe} {}

  std::vector<Tensor> run(std::span<const Tensor> x) {
    for (size_t i = 0; i < x.size(); ++i) {
      Flow& flow = inputs_.emplace_back();
      flow.real = x[i];
      if (const auto* quantizer = model_.input_quantizer_or_null(i)) {
        const sinter::detail::NodeName name(model_.input_name(i));
        Quantize how;
        how.nans = options_.nans;
        quantize(flow, *quantizer, std::move(how));
        if (!model_.read_as_real({Operand::Kind::input, static_cast<int>(i)})) flow.real = {};
      }
    }
    std::vector<int> readers(graph_.nodes.size(), 0);
    const auto count = [&](const std::vector<Operand>& operands) {
      for (const Operand& operand : operands)
        if (operand.kind == Operand::Kind::node) ++readers[operand.index];
    };
    for (const Node& node : graph_.nodes) count(node.inputs);
    count(graph_.outputs);
    nodes_.resize(graph_.nodes.size());
    for (size_t i = 0; i < graph_.nodes.size(); ++i) {
      const Node& node = graph_.nodes[i];
      const sinter::detail::NodeName name(node.name);
      if (fused_conv(node) != nullptr)
        conv(i);
      else if (model_.in_float(i))
        in_float(i);
      else
        layer(i);
      for (const Operand& operand : node.inputs)
        if (operand.kind == Operand::Kind::node && --readers[operand.index] == 0) nodes_[operand.index] = {};
    }
    std::vector<Tensor> outputs;
    for (const Operand& operand : graph_.outputs) outputs.push_back(real(operand));
    return outputs;
  }

 private:
  Flow& flow(const Operand& operand) {
    return operand.kind == Operand::Kind::input ? inputs_[operand.index] : nodes_[operand.index];
  }

  const Tensor& real(const Operand& operand) {
    Flow& from = flow(operand);
    if (!from.real.defined()) {
      Dequantize op;
      op.scale = from.grid.scale;
      from.real = call(op, from.integers);
    }
    return from.real;
  }

  const Tensor& parameter(const Operand& operand) const { return graph_.parameters[operand.index].value; }

  Tensor learned(const Parameter& number) const {
    const auto values = number.tensor().values<float>();
    const bool started = std::none_of(values.begin(), values.end(), [](float v) { return v == 0; });
    return options_.train_scales && (started || options_.training) ? number.tensor() : number.tensor().detach();
  }

  Grid grid_of(const ActivationQuantizer& quantizer, float input_scale, Activation activation) const {
    const float scale = quantizer.scale(model_.march(), input_scale);
    return {scale, output_bounds(activation, scale, model_.march().rounding, quantizer.bounds()), quantizer.dtype(),
            quantizer.config().bits};
  }

  // The integers of a tensor's real values; how: what depends on where these come from.
  void quantize(Flow& to, const ActivationQuantizer& quantizer, Quantize how = {},
                Activation activation = Activation::none) {
    how.output = &quantizer;
    how.learning = quantizer.learning();
    how.pass = &pass_;
    to.integers = how.learning ? call(how, to.real, learned(quantizer.learned)) : call(how, to.real);
    to.grid = grid_of(quantizer, how.input_scale, activation);
  }

  // The largest scale of what a layer reads.
  float input_scale(const Node& node) {
    float largest = 0;
    for (const Operand& operand : node.inputs)
      if (operand.is_activation()) largest = std::max(largest, flow(operand).grid.scale);
    return largest;
  }

  // Operands of a float operation.
  std::vector<Tensor> operands_of(const Node& node) {
    std::vector<Tensor> operands;
    for (const Operand& operand : node.inputs)
      operands.push_back(operand.is_activation()                    ? real(operand)
                         : operand.kind == Operand::Kind::parameter ? parameter(operand)
                                                                    : graph_.constants[operand.index]);
    return operands;
  }

  void in_float(size_t index) {
    Flow& to = nodes_[index];
    const Node& node = graph_.nodes[index];
    std::shared_ptr<const Op> op = node.op;
    if (const auto* norm = dynamic_cast<const ops::BatchNorm*>(op.get())) {
      BatchNormAttributes attributes = norm->attributes;
      attributes.frozen = attributes.frozen || !options_.train_batch_norm;
      op = std::make_shared<ops::BatchNorm>(attributes);
    }
    to.real = call_all(op, operands_of(node))[0];
    if (const auto* quantizer = model_.node_quantizer(index)) quantize(to, *quantizer);
  }

  void layer(size_t index) {
    const Node& node = graph_.nodes[index];
    const ActivationQuantizer* quantizer = model_.node_quantizer(index);
    Flow& to = nodes_[index];
    std::vector<Tensor> operands, integers;
    std::vector<Grid> grids;
    for (const Operand& operand : node.inputs) {
      operands.push_back(operand.is_activation()                    ? flow(operand).integers
                         : operand.kind == Operand::Kind::parameter ? parameter(operand)
                                                                    : graph_.constants[operand.index]);
      if (!operand.is_activation()) continue;
      integers.push_back(operands.back().detach());
      grids.push_back(flow(operand).grid);
    }
    const std::vector<Grid> activations = grids;
    if (layer_of(graph_, node)->reads_constants() && integers.size() < operands.size()) {
      const size_t place = node.inputs[0].is_activation() ? 1 : 0;
      const ConstantOperand made = within(node.name + ": its constant operand", [&] {
        return quantize_constant(layer_of(graph_, node)->constant(node, operands[place].detach()), integers[0].rank(),
                                 std::max(8, grids[0].bits), model_.march());
      });
      integers.insert(integers.begin() + static_cast<std::ptrdiff_t>(place), made.integers);
      grids.insert(grids.begin() + static_cast<std::ptrdiff_t>(place), made.grid);
    }
    if (quantizer == nullptr) {
      PassingLayer op;
      op.op = node.op;
      op.step = layer_instruction({graph_, node, grids, model_.march()}, op.y);
      op.x = std::move(grids);
      op.march = &model_.march();
      to.grid = op.y;
      to.integers = call_all(std::make_shared<const PassingLayer>(std::move(op)), std::move(operands))[0];
      return;
    }
    RealLayer op;
    op.op = node.op;
    op.x = activations;
    to.real = call_all(std::make_shared<const RealLayer>(std::move(op)), std::move(operands))[0];
    Quantize how;
    how.input_scale = input_scale(node);
    how.exact = [&](float scale) {
      Grid y{scale, quantizer->bounds(), quantizer->dtype(), quantizer->config().bits};
      const Instruction step = layer_instruction({graph_, node, grids, model_.march()}, y);
      std::vector<Tensor> x;
      for (const int place : step.inputs) x.push_back(integers[place]);
      return run_layer({step, x, to.real.shape(), y, model_.march()});
    };
    quantize(to, *quantizer, std::move(how));
    to.real = {};  // what others read are the integers
  }

  void conv(size_t index) {
    const Node& node = graph_.nodes[index];
    const FusedConvAttributes& attributes = fused_conv(node)->attributes;
    Tensor weight = parameter(node.inputs[1]), bias = parameter(node.inputs[2]);
    if (attributes.batch_norm) {
      if (options_.train_batch_norm && (options_.probed || !attributes.frozen)) return conv_and_batch_norm(index);
      std::vector<Tensor> operands;
      for (size_t i = 1; i < 7; ++i) operands.push_back(parameter(node.inputs[i]));
      auto folded = call_all(std::make_shared<const FoldBatchNorm>(attributes.eps), std::move(operands));
      weight = std::move(folded[0]);
      bias = std::move(folded[1]);
    }
    const Operand* skip = skip_of(node);
    Flow& to = nodes_[index];
    const ActivationQuantizer* quantizer = model_.node_quantizer(index);
    FusedConvAttributes plain = attributes;
    plain.batch_norm = false;
    if (model_.in_float(index)) {
      to.real = skip == nullptr ? call(FusedConv(plain), real(node.inputs[0]), weight, bias)
                                : call(FusedConv(plain), real(node.inputs[0]), weight, bias, real(*skip));
      if (quantizer != nullptr) quantize(to, *quantizer);
      return;
    }
    QuantizedConv op = quantized_conv(index);
    std::vector<Tensor> operands{flow(node.inputs[0]).integers, weight, bias};
    if (skip != nullptr) {
      op.adds = true;
      op.skip = flow(*skip).grid;
      operands.push_back(flow(*skip).integers);
    }
    op.output = quantizer;
    if (quantizer != nullptr) op.output_learning = quantizer->learning();
    if (op.output_learning) operands.push_back(learned(quantizer->learned));
    if (op.weights_learning) operands.push_back(learned(op.weights->learned));
    op.conv = plain;
    Tensor y = call_all(std::make_shared<const QuantizedConv>(std::move(op)), std::move(operands))[0];
    if (quantizer == nullptr) {
      to.real = std::move(y);
    } else {
      to.integers = std::move(y);
      to.grid = grid_of(*quantizer, input_scale(node), activation_named(attributes.activation));
    }
  }

  QuantizedConv quantized_conv(size_t index) {
    const Node& node = graph_.nodes[index];
    QuantizedConv op;
    op.node = node.name;
    op.weights = model_.weight_quantizer(index);
    op.weights_learning = op.weights->learning();
    op.x = flow(node.inputs[0]).grid;
    op.rounding = model_.march().rounding;
    op.pass = &pass_;
    return op;
  }

  // The accumulators are of integers, the normalisation is float (SPEC.md, section 4). Weights are quantised as they
  // will be once gamma / sigma is folded into them; a channel whose gamma is 0 as if it were 1, so that gamma has the
  // gradient by which it can grow.
  void conv_and_batch_norm(size_t index) {
    const Node& node = graph_.nodes[index];
    const FusedConvAttributes& attributes = fused_conv(node)->attributes;
    FusedConvAttributes plain = attributes;
    plain.batch_norm = false;
    plain.activation = "none";
    const Tensor &weight = parameter(node.inputs[1]), &bias = parameter(node.inputs[2]);
    Tensor z;
    if (model_.in_float(index)) {
      z = call(FusedConv(plain), real(node.inputs[0]), weight, bias);
    } else {
      QuantizedConv op = quantized_conv(index);
      op.conv = plain;
      const auto gamma = parameter(node.inputs[3]).values<float>(), var = parameter(node.inputs[6]).values<float>();
      for (size_t o = 0; o < gamma.size(); ++o)
        op.factors.push_back(static_cast<float>((gamma[o] == 0 ? 1.0 : static_cast<double>(gamma[o])) /
                                                std::sqrt(static_cast<double>(var[o]) + attributes.eps)));
      const Tensor& x = flow(node.inputs[0]).integers;
      z = op.weights_learning ? call(op, x, weight, bias, learned(op.weights->learned)) : call(op, x, weight, bias);
    }
    std::vector<Tensor> operands{std::move(z)};
    for (size_t i = 3; i < 7; ++i) operands.push_back(parameter(node.inputs[i]));
    if (const Operand* skip = skip_of(node)) operands.push_back(real(*skip));
    BatchNormAttributes norm;
    norm.eps = attributes.eps;
    norm.momentum = attributes.momentum;
    norm.activation = attributes.activation;
    Flow& to = nodes_[index];
    to.real = call_all(std::make_shared<const ops::BatchNorm>(norm), std::move(operands))[0];
    const auto* quantizer = model_.node_quantizer(index);
    if (quantizer == nullptr) return;
    Quantize how;
    if (!model_.in_float(index)) how.input_scale = input_scale(node);
    quantize(to, *quantizer, std::move(how), activation_named(attributes.activation));
    if (!model_.in_float(index)) to.real = {};
  }

  const PreparedModel& model_;
  const Graph& graph_;
  const QatOptions& options_;
  const Pass pass_;
  std::vector<Flow> inputs_, nodes_;
};

}  // namespace

std::vector<Tensor> run_qat(const PreparedModel& model, std::span<const Tensor> x, const QatOptions& options) {
  return Qat(model, options).run(x);
}

}  // namespace sinter::quant
