#include "compile.h"

#include "../core/ops/max_pool2d.h"
#include "../core/ops/view.h"
#include "../core/version.h"
#include "../quant/fused_conv.h"
#include "../quant/integer/conv.h"
#include "../quant/layers.h"
#include "../quant/ops/conv.h"

namespace sinter::bpu {

namespace {

using quant::Grid;

Rescale to_rescale(const quant::Multiplier& m) { return {m.m, m.shift, m.skip}; }

Shape one_image(const Shape& shape) { return shape.rank() == 0 ? Shape{1} : shape.with(0, 1); }

class Compiler {
 public:
  explicit Compiler(const quant::PreparedModel& model) : model_(model), graph_(model.graph()) {
    program_.march = model.march();
    program_.version = sinter::version();
    program_.fingerprint = model.fingerprint();
  }

  Program run() {
    for (size_t i = 0; i < graph_.inputs.size(); ++i) {
      const auto& quantizer = model_.input_quantizer(i);
      program_.inputs.push_back(
          add_value(quantizer.name(), graph_.inputs[i].shape, quantizer.scale(program_.march), {}));
    }
    for (size_t i = 0; i < graph_.nodes.size(); ++i) {
      try {
        compile(i);
      } catch (const Error& error) {
        violations_ += text("\n  ", error.what());
        // What follows is compiled all the same, to find the other violations.
        if (of_node_.size() == i)
          of_node_.push_back(add_value(graph_.nodes[i].name, graph_.nodes[i].outputs[0].shape, 1, {}));
      }
    }
    check(violations_.empty(), "compile: the model does not fit the ", program_.march, ":", violations_);
    for (const Operand& operand : graph_.outputs) program_.outputs.push_back(value_of(operand));
    check_program(program_);
    return std::move(program_);
  }

 private:
  int add_value(const std::string& name, const Shape& shape, float scale, const quant::Bounds& bounds) {
    program_.values.push_back({name, one_image(shape), DType::int8, scale, bounds.low, bounds.high});
    return static_cast<int>(program_.values.size()) - 1;
  }

  int value_of(const Operand& operand) const {
    return operand.kind == Operand::Kind::input ? program_.inputs[operand.index] : of_node_[operand.index];
  }

  Grid grid_of(int value) const {
    const Value& v = program_.values[value];
    return {v.scale, {v.low, v.high}};
  }

  void compile(size_t index) {
    const Node& node = graph_.nodes[index];
    const quant::March& march = program_.march;
    const auto* quantizer = model_.node_quantizer(index);
    Instruction step;
    step.inputs = {value_of(node.inputs[0])};
    const Grid x = grid_of(step.inputs[0]);
    const float y_scale = quantizer == nullptr ? x.scale : quantizer->scale(march);
    quant::Bounds bounds;
    switch (quant::layer_of(graph_, node)) {
      case quant::Layer::conv:
        compile_conv(index, step, x, y_scale);
        return;
      case quant::Layer::add: {
        step.opcode = Opcode::add;
        step.inputs.push_back(value_of(node.inputs[1]));
        if (grid_of(step.inputs[1]).scale > x.scale) std::swap(step.inputs[0], step.inputs[1]);
        const Grid large = grid_of(step.inputs[0]), small = grid_of(step.inputs[1]);
        step.rescale = {to_rescale(
            quant::multipliers(node.name, march, {static_cast<double>(large.scale)}, 1, &small, y_scale)[0])};
        break;
      }
      case quant::Layer::mean: {
        step.opcode = Opcode::mean;
        const Shape& image = program_.values[step.inputs[0]].shape;
        step.rescale = {to_rescale(quant::multipliers(node.name, march, {static_cast<double>(x.scale)},
                                                      image[1] * image[2], nullptr, y_scale)[0])};
        break;
      }
      case quant::Layer::clamp:
        step.opcode = Opcode::clamp;
        step.activation = std::string(node.op->name());
        bounds = quant::output_bounds(activation_named(step.activation), x.scale, march.rounding);
        break;
      case quant::Layer::moves: {
        bounds = x.bounds;
        if (node.op->name() != "max_pool2d") {
          step.opcode = Opcode::reshape;
          break;
        }
        step.opcode = Opcode::max_pool;
        const auto& pool = static_cast<const ops::MaxPool2d&>(*node.op).attributes;
        check(!pool.ceil_mode, node.name, ": a max pool with ceil_mode has no instruction");
        step.kernel = pool.kernel;
        step.stride = pool.stride;
        step.padding = pool.padding;
        step.dilation = pool.dilation;
        break;
      }
      case quant::Layer::unsupported:
        fail(node.name, ": has no instruction");
    }
    finish(node, std::move(step), y_scale, bounds);
  }

  void compile_conv(size_t index, Instruction& step, const Grid& x, float y_scale) {
    const Node& node = graph_.nodes[index];
    const auto& fused = static_cast<const quant::FusedConv&>(*node.op);
    const Tensor& weight = graph_.parameters[node.inputs[1].index].value;
    const Tensor& bias = graph_.parameters[node.inputs[2].index].value;
    const auto weights =
        quant::quantize_weights(node.name, model_.qconfig().weight, program_.march, weight, bias, x.scale);
    quant::integer_weights(weights.values, x.bounds, false, node.name.c_str());  // checks the accumulators
    const auto channels = static_cast<int64_t>(weights.scales.size());

    step.stride = fused.attributes.stride;
    step.padding = fused.attributes.padding;
    step.dilation = fused.attributes.dilation;
    step.groups = fused.attributes.groups;
    step.activation = fused.attributes.activation;
    step.weight =
        weight.rank() == 4 ? weights.values : ops::view(weights.values, {weight.size(0), 1, 1, weight.size(1)});
    step.kernel = {step.weight.size(1), step.weight.size(2)};
    step.bias = Tensor::from({channels}, weights.bias);
    step.weight_scales = Tensor::from({channels}, weights.scales);
    if (model_.is_head(index)) {
      finish(node, std::move(step), 1, {});
      Value& y = program_.values.back();
      y.dtype = DType::int32;
      y.low = y.high = 0;
      return;
    }
    Grid skip;
    if (node.inputs.size() == 4) {
      step.inputs.push_back(value_of(node.inputs[3]));
      skip = grid_of(step.inputs[1]);
    }
    for (const auto& m : quant::multipliers(node.name, program_.march, quant::accumulator_units(weights, x.scale), 1,
                                            step.inputs.size() == 2 ? &skip : nullptr, y_scale))
      step.rescale.push_back(to_rescale(m));
    const auto bounds = quant::output_bounds(fused.activation(), y_scale, program_.march.rounding);
    finish(node, std::move(step), y_scale, bounds);
  }

  void finish(const Node& node, Instruction step, float scale, const quant::Bounds& bounds) {
    step.output = add_value(node.name, node.outputs[0].shape, scale, bounds);
    of_node_.push_back(step.output);
    program_.instructions.push_back(std::move(step));
  }

  const quant::PreparedModel& model_;
  const Graph& graph_;
  Program program_;
  std::vector<int> of_node_;  // the value of each node
  std::string violations_;
};

}  // namespace

Program compile(const quant::PreparedModel& model, const CompileOptions& options) {
  check(!options.march || *options.march == model.march(), "compile: the march ",
        options.march ? *options.march : model.march(), " was asked for, but the model was prepared for ",
        model.march(), "; prepare it again and load its parameters");
  model.check_observed("compile");
  return Compiler(model).run();
}

}  // namespace sinter::bpu
