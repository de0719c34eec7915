#pragma once
// Private: what several layers look at in an instruction. All throw Error, a predicate.

#include <initializer_list>

#include "layer.h"

namespace sinter::quant {

void expect_inputs(const Instruction& step, size_t least, size_t most);
/// One of these operations, on so many inputs.
void expect_operation(const Instruction& step, size_t inputs, std::initializer_list<std::string_view> names);
/// An axis of x's that is not the batch's.
void expect_axis(const IntegerProgram& program, const Instruction& step, int64_t axis);
/// 32 bits hold the sum of so many values of that type.
void expect_sum(int64_t count, DType dtype);

/// What `make` gives; where no integers reach a ratio, says so for the node, and why that may be.
Rescaling explained(const std::string& node, const std::function<Rescaling()>& make);

/// What the operation infers for these values and constants.
Shape operation_shape(const IntegerProgram& program, const Instruction& step);

/// Of the i-th input.
const Value& input(const IntegerProgram& program, const Instruction& step, size_t i);
int64_t reach(const IntegerProgram& program, const Instruction& step, size_t i);

/// An operand that is a parameter or numbers, as integers [1,...] of so many axes and bits: on the scale whose largest
/// integer its largest magnitude is.
struct ConstantOperand {
  Grid grid;
  Tensor integers;
};
ConstantOperand quantize_constant(const Tensor& value, int rank, int bits, const Arithmetic& march);

/// Whether a node is an operation of two activations that broadcast, of as many axes, or of one and a parameter or
/// numbers that are the same for all images.
Answer takes_two(const Graph& graph, const Node& node);
/// What is true of its instruction.
void expect_broadcast(const IntegerProgram& program, const Instruction& step);

/// Whether a node reads activations alone, and its axis is not the batch's.
Answer takes_along(const Graph& graph, const Node& node, int64_t axis);

/// Whether a node reads activations alone.
bool reads_activations(const Node& node);
/// A node's attributes, where it is that operation; else null.
template <class T>
const auto* attributes_of(const Node& node) {
  const auto* op = dynamic_cast<const T*>(node.op.get());
  return op == nullptr ? nullptr : &op->attributes;
}
template <class T>
const auto& attributes_of(const Instruction& step) {
  return static_cast<const T&>(*step.op).attributes;
}

}  // namespace sinter::quant
