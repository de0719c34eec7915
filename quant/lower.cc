#include "lower.h"

#include <algorithm>

#include "../core/autograd.h"
#include "../core/within.h"
#include "fused_conv.h"
#include "layers/checks.h"
#include "layers/list.h"

namespace sinter::quant {

namespace {

Shape one_image(const Shape& shape) { return shape.rank() == 0 ? Shape{1} : shape.with(0, 1); }

class Lowerer {
 public:
  explicit Lowerer(const PreparedModel& model) : model_(model), graph_(model.graph()) {
    program_.march = model.march();
  }

  IntegerProgram run() {
    for (size_t i = 0; i < graph_.inputs.size(); ++i) lower_input(i);
    for (size_t i = 0; i < graph_.nodes.size(); ++i) try {
        lower_node(i);
      } catch (const Error& error) {
        violations_ += text("\n  ", error.what());
        // What follows is lowered all the same, to find the other violations.
        nodes_.resize(i + 1);
        nodes_[i].integers = add(graph_.nodes[i].name, graph_.nodes[i].outputs[0].shape, {});
      }
    check(violations_.empty(), "the model does not fit the ", program_.march, ":", violations_);
    // What is made in float is given in float, also where something reads its integers.
    for (const Operand& operand : graph_.outputs) {
      const Made& made = made_by(operand);
      const bool real =
          operand.kind == Operand::Kind::node ? model_.in_float(operand.index) : model_.read_as_real(operand);
      program_.outputs.push_back(real ? made.real : made.integers);
    }
    check_program(program_);  // what is too large for any machine
    return std::move(program_);
  }

 private:
  // A tensor of the graph as values of the program; -1 where it is not needed so.
  struct Made {
    int integers = -1, real = -1;
  };

  int add(const std::string& name, const Shape& shape, const Grid& grid) {
    check(grid.scale <= kMaxScale, name, ": its scale is ", grid.scale,
          ", expected at most 2^100; normalise what the network reads, or calibrate it again");
    program_.values.push_back(
        {name, one_image(shape), grid.dtype, grid.scale, grid.bounds.low, grid.bounds.high, grid.bits});
    return static_cast<int>(program_.values.size()) - 1;
  }
  int add_real(const std::string& name, const Shape& shape) { return add(name, shape, {1, {0, 0}, DType::float32}); }
  void append(Instruction step) { program_.instructions.push_back(std::move(step)); }

  // The grid of what a layer makes of these values.
  Grid own_grid(const ActivationQuantizer& quantizer, const std::vector<int>& inputs = {}) const {
    float input_scale = 0;
    for (const int input : inputs) input_scale = std::max(input_scale, program_.values[input].scale);
    return {quantizer.scale(program_.march, input_scale), quantizer.bounds(), quantizer.dtype(),
            quantizer.config().bits};
  }

  Made& made_by(const Operand& operand) {
    return operand.kind == Operand::Kind::input ? inputs_[operand.index] : nodes_[operand.index];
  }

  int integers_of(const Operand& operand) const {
    return operand.kind == Operand::Kind::input ? inputs_[operand.index].integers : nodes_[operand.index].integers;
  }

  // The float32 value of a tensor, dequantised once.
  int real_of(const Operand& operand) {
    Made& made = made_by(operand);
    if (made.real >= 0) return made.real;
    const Value from = program_.values[made.integers];
    made.real = add_real(from.name + ".real", from.shape);
    Instruction step;
    step.layer = kDequantize;
    step.inputs = {made.integers};
    step.output = made.real;
    append(std::move(step));
    return made.real;
  }

  // The integers of a float32 value.
  int quantized(int real, const ActivationQuantizer& quantizer) {
    const Value from = program_.values[real];
    Instruction step;
    step.layer = kQuantize;
    step.inputs = {real};
    step.output = add(quantizer.name() + ".quantized", from.shape, own_grid(quantizer));
    append(step);
    return step.output;
  }

  void lower_input(size_t i) {
    const ActivationQuantizer* quantizer = model_.input_quantizer_or_null(i);
    const Shape& shape = graph_.inputs[i].shape;
    Made& made = inputs_.emplace_back();
    if (quantizer != nullptr && !model_.read_as_real({Operand::Kind::input, static_cast<int>(i)})) {
      made.integers = add(quantizer->name(), shape, own_grid(*quantizer));
      program_.inputs.push_back(made.integers);
      return;
    }
    made.real = add_real(model_.input_name(i), shape);
    program_.inputs.push_back(made.real);
    if (quantizer != nullptr) made.integers = quantized(made.real, *quantizer);
  }

  void lower_node(size_t index) {
    const Node& node = graph_.nodes[index];
    Made made;
    if (model_.in_float(index)) {
      made.real = lower_float(node);
      if (const auto* quantizer = model_.node_quantizer(index)) made.integers = quantized(made.real, *quantizer);
    } else {
      made.integers = lower_layer(index);
    }
    nodes_.push_back(made);
  }

  int lower_float(const Node& node) {
    Instruction step;
    step.layer = kCpu;
    step.op = node.op;
    for (const Operand& operand : node.inputs) {
      step.constants.push_back(operand.kind == Operand::Kind::parameter
                                   ? graph_.parameters[operand.index].value.tensor().clone()
                               : operand.kind == Operand::Kind::constant ? graph_.constants[operand.index].clone()
                                                                         : Tensor());
      if (operand.is_activation()) step.inputs.push_back(real_of(operand));
    }
    step.output = add_real(node.name, node.outputs[0].shape);
    append(step);
    return step.output;
  }

  int constant(const Layer& layer, const Node& node, const Operand& operand) {
    int rank = 0, bits = 8;
    for (const Operand& other : node.inputs)
      if (other.is_activation()) {
        const Value& x = program_.values[integers_of(other)];
        rank = x.shape.rank();
        bits = std::max(bits, x.bits);
      }
    const Tensor& value = operand.kind == Operand::Kind::parameter ? graph_.parameters[operand.index].value.tensor()
                                                                   : graph_.constants[operand.index];
    const ConstantOperand made = within(node.name + ": its constant operand", [&] {
      return quantize_constant(layer.constant(node, value), rank, bits, program_.march);
    });
    Instruction step;
    step.layer = kConstant;
    step.constants = {made.integers};
    step.output = add(node.name + ".constant", made.integers.shape(), made.grid);
    append(step);
    return step.output;
  }

  int lower_layer(size_t index) {
    const Node& node = graph_.nodes[index];
    const ActivationQuantizer* quantizer = model_.node_quantizer(index);
    std::vector<int> values;
    std::vector<Grid> grids;
    const Layer* layer = layer_of(graph_, node);
    const bool constants = layer != nullptr && layer->reads_constants();
    for (const Operand& operand : node.inputs) {
      if (!operand.is_activation() && !constants) continue;
      values.push_back(operand.is_activation() ? integers_of(operand) : constant(*layer, node, operand));
      grids.push_back(program_.values[values.back()].grid());
    }
    QuantizedWeights weights;
    if (const WeightQuantizer* quantized = model_.weight_quantizer(index)) {
      const Folded folded = folded_weights(graph_, node);
      weights = quantized->quantize(program_.march, folded.weight, folded.bias, grids[0].scale,
                                    grids.size() == 2 ? &grids[1] : nullptr);
    }
    Grid y{1, {0, 0}, DType::int32};  // of accumulators
    if (quantizer != nullptr) y = own_grid(*quantizer, values);
    Instruction step = layer_instruction({graph_, node, grids, program_.march, &weights}, y);
    for (int& input : step.inputs) input = values[input];
    step.output = add(node.name, node.outputs[0].shape, y);
    append(step);
    return step.output;
  }

  const PreparedModel& model_;
  const Graph& graph_;
  IntegerProgram program_;
  std::vector<Made> inputs_, nodes_;
  std::string violations_;
};

}  // namespace

IntegerProgram lower(const PreparedModel& model) {
  const sinter::detail::OwnWrites own;
  return Lowerer(model).run();
}

}  // namespace sinter::quant
