#include "checks.h"

#include <algorithm>
#include <cmath>

#include "../../core/error.h"
#include "../integer/values.h"
#include "../samples.h"

namespace sinter::quant {

void expect_inputs(const Instruction& step, size_t least, size_t most) {
  check(step.inputs.size() >= least && step.inputs.size() <= most, "has ", step.inputs.size(), " inputs");
}

void expect_operation(const Instruction& step, size_t inputs, std::initializer_list<std::string_view> names) {
  expect_inputs(step, inputs, inputs);
  const std::string_view name = step.op == nullptr ? "" : step.op->name();
  check(std::find(names.begin(), names.end(), name) != names.end(), "has the operation '", name, "'");
}

void expect_axis(const IntegerProgram& program, const Instruction& step, int64_t axis) {
  check(normalize_axis(axis, input(program, step, 0).shape.rank(), "axis") != 0, "has the axis of the batch");
}

void expect_sum(int64_t count, DType dtype) {
  check(count < (int64_t{1} << (dtype == DType::int16 ? 15 : 23)), "adds ", count, " values of ", dtype,
        ", which could overflow 32 bits");
}

const Value& input(const IntegerProgram& program, const Instruction& step, size_t i) {
  return program.values[static_cast<size_t>(step.inputs[i])];
}

int64_t reach(const IntegerProgram& program, const Instruction& step, size_t i) {
  return input(program, step, i).grid().bounds.reach();
}

Answer takes_two(const Graph& graph, const Node& node) {
  const std::string_view op = node.op->name();
  const Shape &a = graph.spec(node.inputs[0]).shape, &b = graph.spec(node.inputs[1]).shape;
  if (reads_activations(node)) {
    if (a.rank() != b.rank()) return refused(text(op, " of ", a, " and ", b, ", expected as many axes"));
    return yes();
  }
  const size_t place = node.inputs[0].is_activation() ? 1 : 0;
  const Operand& constant = node.inputs[place];
  if (!node.inputs[1 - place].is_activation()) return refused(text(op, " of numbers alone"));
  if (constant.kind == Operand::Kind::constant && graph.spec(constant).shape.elements() == 1)
    return not_mine();  // a table
  const Shape &x = place == 1 ? a : b, &c = place == 1 ? b : a;
  if (c.rank() > x.rank() || (c.rank() == x.rank() && c[0] != 1))
    return refused(
        text(op, " of ", x, " and the parameter or numbers ", c, ", expected those to be the same for all images"));
  return yes();
}

Shape lifted(const Shape& shape, int rank) {
  std::vector<int64_t> axes(static_cast<size_t>(rank - shape.rank()), 1);
  axes.insert(axes.end(), shape.begin(), shape.end());
  return Shape(axes);
}

ConstantOperand quantize_constant(const Tensor& value, int rank, int bits, const Arithmetic& march) {
  const Range range = Samples(value).range();
  ConstantOperand result;
  const Bounds type = type_bounds(bits);
  const float largest = std::max(std::abs(range.min), std::abs(range.max));
  // So that the largest is one of the integers.
  const float scale = march.on_grid(std::max(largest / static_cast<float>(type.high), kMinScale), true);
  result.grid = {scale, type, bits > 8 ? DType::int16 : DType::int8, bits};
  result.integers = Tensor::empty(lifted(value.shape(), rank), result.grid.dtype);
  quantize(value, {&scale, 1}, type, march.rounding, result.integers);
  return result;
}

void expect_broadcast(const IntegerProgram& program, const Instruction& step) {
  const Shape& y = program.values[static_cast<size_t>(step.output)].shape;
  for (size_t i = 0; i < step.inputs.size(); ++i)
    check(input(program, step, i).shape.rank() == y.rank(), "broadcasts ", input(program, step, i).shape, " to ", y);
}

Answer takes_along(const Graph& graph, const Node& node, int64_t axis) {
  if (normalize_axis(axis, graph.spec(node.inputs[0]).shape.rank(), std::string(node.op->name()).c_str()) == 0)
    return refused("its axis is the batch's, which can have any size; do this outside of the network", false);
  if (!reads_activations(node)) return refused("one of its inputs is a number or a parameter");
  return yes();
}

bool reads_activations(const Node& node) {
  return std::all_of(node.inputs.begin(), node.inputs.end(), [](const Operand& o) { return o.is_activation(); });
}

}  // namespace sinter::quant
