#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <limits>

#include "layers/checks.h"
#include "layers/layer.h"
#include "layers/rescale.h"

namespace sinter::quant {

namespace {

bool is_scale(float scale) { return scale > 0 && scale <= kMaxScale; }

// Numbers small enough to compute with; the largest as an end: that of the axis.
void check_attributes(const Op& op) {
  for (const Field& field : op.fields()) {
    const auto fits = [&](int64_t v) {
      return std::abs(static_cast<double>(v)) < 0x1p31 ||
             (field.name == "end" && v == std::numeric_limits<int64_t>::max());
    };
    const auto* one = std::get_if<int64_t>(&field.value);
    const auto* list = std::get_if<std::vector<int64_t>>(&field.value);
    const auto* real = std::get_if<double>(&field.value);
    check((one == nullptr || fits(*one)) && (list == nullptr || std::all_of(list->begin(), list->end(), fits)) &&
              (real == nullptr || std::isfinite(*real)),
          "has ", field);
  }
}

// What the elements of inputs and output may be.
void check_types(const IntegerProgram& p, const Instruction& step, const Layer* layer) {
  const Value& y = p.values[step.output];
  const bool head = layer != nullptr && layer->can_be_head() && step.rescale.empty();
  for (size_t i = 0; i < step.inputs.size(); ++i) {
    const Value& x = p.values[step.inputs[i]];
    if (step.layer == kCpu || step.layer == kQuantize)
      check(x.dtype == DType::float32, "reads ", x.dtype, ", expected float32");
    else if (step.layer == kDequantize)
      check(x.is_integer() || x.dtype == DType::int32, "reads ", x.dtype, ", expected integers");
    else
      check(x.is_integer(), x.dtype == DType::int32 ? "reads the accumulators of a head" : "reads float32");
  }
  if (step.layer == kCpu || step.layer == kDequantize)
    check(y.dtype == DType::float32, "gives ", y.dtype, ", expected float32");
  else
    check(head ? y.dtype == DType::int32 : y.is_integer(), "gives ", y.dtype, " with ", step.rescale.size(),
          " rescalings");
  check(!head || step.inputs.size() == 1, "is a head, and adds");
  if (layer == nullptr || !layer->passes()) return;
  const Value& x = p.values[step.inputs[0]];
  check(x.dtype == y.dtype, "gives ", y.dtype, " from ", x.dtype);
  check(layer->limits() || (y.low <= x.low && y.high >= x.high), "limits ", x.low, "..", x.high, " to ", y.low, "..",
        y.high);
}

// Nothing is in a file that is of no use.
void check_parts(const Instruction& step, const Layer* layer) {
  const std::vector<std::string_view> parts =
      layer != nullptr
          ? layer->parts()
          : std::vector<std::string_view>(step.layer == kCpu || step.layer == kConstant ? 1 : 0, "constants");
  const auto expect = [&](std::string_view part, bool there) {
    check(!there || std::find(parts.begin(), parts.end(), part) != parts.end(), "has a part that no ", step.layer,
          " has, ", part);
  };
  expect("weight", step.weight.defined());
  expect("bias", step.bias.defined());
  expect("weight_scales", step.weight_scales.defined());
  expect("table", step.table.defined());
  expect("constants", !step.constants.empty());
}

// What keeps the arithmetic exact.
void check_rescalings(const IntegerProgram& p, const Instruction& step, const Layer& layer) {
  const std::vector<Reach> reaches = layer.reaches(p, step);
  check(step.rescale.size() == reaches.size(), "has ", step.rescale.size(), " rescalings, expected ", reaches.size());
  for (size_t c = 0; c < reaches.size(); ++c)
    p.march.datapath->check_rescaling(step.rescale[c], reaches[c].a, reaches[c].b);
}

// Integers within the bounds of its value.
void check_constant(const IntegerProgram& p, const Instruction& step) {
  const Value& y = p.values[step.output];
  check_parts(step, nullptr);
  check(step.inputs.empty() && step.rescale.empty() && step.op == nullptr, "reads or computes something");
  check(y.is_integer() && step.constants.size() == 1 && step.constants[0].defined() &&
            step.constants[0].spec() == Spec{y.dtype, y.shape},
        "has no integers ", y.dtype, " ", y.shape);
  with_integers(step.constants[0], [&](const auto* q) {
    for (int64_t i = 0; i < y.shape.elements(); ++i)
      check(q[i] >= y.low && q[i] <= y.high, "has the integer ", int64_t{q[i]}, ", outside of ", y.low, "..", y.high);
  });
}

void check_instruction(const IntegerProgram& p, const Instruction& step, const std::vector<bool>& known) {
  check(step.output >= 0 && step.output < static_cast<int>(p.values.size()) && !known[step.output], "writes value ",
        step.output);
  if (step.layer == kConstant) return check_constant(p, step);
  check(!step.inputs.empty(), "has no inputs");
  for (const int input : step.inputs)
    check(input >= 0 && input < static_cast<int>(p.values.size()) && known[input], "reads value ", input,
          ", which does not exist then");
  const Layer* layer = step.on_bpu() ? &layer_named(step.layer) : nullptr;
  check_parts(step, layer);
  check_types(p, step, layer);
  Shape shape = p.values[step.inputs[0]].shape;
  if (layer != nullptr) {
    if (step.op != nullptr) check_attributes(*step.op);
    layer->check(p, step);
    shape = layer->shape(p, step);
  } else if (step.layer == kCpu) {
    check(step.op != nullptr, "has no operation");
    check_attributes(*step.op);
    shape = operation_shape(p, step);
  } else {
    check(step.inputs.size() == 1, "has ", step.inputs.size(), " inputs");
  }
  const Value& y = p.values[step.output];
  check(shape == y.shape, "gives ", shape, ", but its value is ", y.shape);
  if (layer != nullptr) check_rescalings(p, step, *layer);
}

}  // namespace

void check_program(const IntegerProgram& program) {
  std::vector<bool> known(program.values.size(), false);
  check(!program.inputs.empty() && !program.outputs.empty(), "program: it has no inputs or no outputs");
  for (const Value& value : program.values) {
    check(value.shape.rank() >= 1 && value.shape[0] == 1, "program: ", value.name, " is ", value.shape,
          ", expected the shape for one image");
    double elements = 1;
    for (const int64_t axis : value.shape) {
      check(axis >= 1 && axis <= (1 << 24), "program: ", value.name, " is ", value.shape,
            ", expected axes of 1 to 2^24");
      elements *= static_cast<double>(axis);
    }
    check(elements <= 0x1p31, "program: ", value.name, " is ", value.shape, ", expected at most 2^31 elements");
    if (!value.is_integer()) continue;
    check(is_scale(value.scale), "program: the scale of ", value.name, " is ", value.scale);
    const bool wide = value.dtype == DType::int16;
    check(wide ? value.bits == 16 : value.bits == 8 || value.bits == 4 || value.bits == 2, "program: ", value.name,
          " has ", value.bits, " bits in ", value.dtype);
    const Bounds type = type_bounds(value.bits, value.low < 0);
    check(value.low >= type.low && value.low <= value.high && value.high <= type.high && value.high >= 0,
          "program: the bounds of ", value.name, " are ", value.low, "..", value.high);
  }
  for (const int input : program.inputs) {
    check(input >= 0 && input < static_cast<int>(known.size()) && !known[input] &&
              program.values[input].dtype != DType::int32,
          "program: input ", input, " is no value that images become");
    known[input] = true;
  }
  for (size_t i = 0; i < program.instructions.size(); ++i) {
    const Instruction& step = program.instructions[i];
    try {
      check_instruction(program, step, known);
    } catch (const Error& error) {
      fail("program: instruction ", i, " (", step.layer, ") ", error.what());
    }
    known[step.output] = true;
  }
  for (const int output : program.outputs)
    check(output >= 0 && output < static_cast<int>(known.size()) && known[output], "program: output ", output,
          " is never made");
}

}  // namespace sinter::quant
