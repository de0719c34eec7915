#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <limits>

#include "fused_conv.h"
#include "integer/avg_pool.h"
#include "integer/conv.h"
#include "program.h"
#include "tables.h"

namespace sinter::quant {

namespace {

constexpr int64_t kMaxBias = int64_t{1} << 30;
constexpr int64_t kLargest = 1 << 20;  // of what windows are made of

bool is_scale(float scale) { return scale > 0 && scale <= kMaxScale; }

int64_t reach(const Value& value) {
  return std::max({std::abs(static_cast<int64_t>(value.low)), std::abs(static_cast<int64_t>(value.high)), int64_t{1}});
}

const FusedConvAttributes& attributes_of(const Instruction& step) {
  const auto* conv = dynamic_cast<const FusedConv*>(step.op.get());
  check(conv != nullptr, "has no attributes of a convolution");
  return conv->attributes;
}

void expect_inputs(const Instruction& step, size_t least, size_t most) {
  check(step.inputs.size() >= least && step.inputs.size() <= most, "has ", step.inputs.size(), " inputs");
}

// The shape that a convolution gives its output; an Error where its inputs do not fit.
Shape convolution_shape(const IntegerProgram& p, const Instruction& step) {
  expect_inputs(step, 1, 2);
  const Shape& x = p.values[step.inputs[0]].shape;
  const FusedConvAttributes& a = attributes_of(step);
  const Tensor& w = step.weight;
  const Shape image = x.rank() == 2 ? Shape{1, 1, 1, x[1]} : x;
  check(image.rank() == 4, "reads ", x, ", expected [1,H,W,C] or [1,C]");
  check(a.linear == (x.rank() == 2), "reads ", x, a.linear ? ", expected [1,C]" : ", expected [1,H,W,C]");
  check(w.defined() && step.bias.defined() && step.weight_scales.defined(), "has no weights");
  check(w.dtype() == DType::int8 && w.rank() == 4 && w.elements() > 0 && a.groups >= 1 && w.size(3) <= image[3] &&
            w.size(3) * a.groups == image[3] && w.size(0) % a.groups == 0,
        "has weights ", w.spec(), " in ", a.groups, " groups for an input of ", image[3], " channels");
  check(step.bias.spec() == Spec{DType::int32, {w.size(0)}} &&
            step.weight_scales.spec() == Spec{DType::float32, {w.size(0)}},
        "has bias ", step.bias.spec(), " and scales ", step.weight_scales.spec(), " for ", w.size(0), " channels");
  for (const int32_t b : step.bias.values<int32_t>())
    check(std::abs(static_cast<int64_t>(b)) <= kMaxBias, "has the bias ", b, ", expected at most 2^30");
  for (const float scale : step.weight_scales.values<float>())
    check(is_scale(scale), "has the scale ", scale, " for weights");
  accumulator_reach(w, p.values[step.inputs[0]].grid(), "is refused");
  for (const Pair& pair : {a.stride, a.dilation, Pair{a.padding.h + 1, a.padding.w + 1}})
    check(pair.h >= 1 && pair.h <= kLargest && pair.w >= 1 && pair.w <= kLargest, "has a window of size ", pair);
  if (a.linear)
    check(w.size(1) == 1 && w.size(2) == 1 && a.stride == Pair{1} && a.padding == Pair{0} && a.dilation == Pair{1} &&
              a.output_padding == Pair{0} && a.groups == 1 && !a.transposed,
          "is a linear layer, and has a window");
  int64_t h = 0, width = 0;
  if (a.transposed) {
    check(x.rank() == 4 && image[1] >= 1 && image[1] <= kLargest && image[2] >= 1 && image[2] <= kLargest, "spreads ",
          x);
    const Pair added = a.output_padding;
    const Pair outer{a.dilation.h * (w.size(1) - 1) - a.padding.h, a.dilation.w * (w.size(2) - 1) - a.padding.w};
    check(added.h >= 0 && added.h < a.stride.h && added.w >= 0 && added.w < a.stride.w && outer.h >= 0 && outer.w >= 0,
          "has a window of padding ", a.padding, " and output padding ", added);
    h = (image[1] - 1) * a.stride.h + 1 + added.h + outer.h - a.padding.h;
    width = (image[2] - 1) * a.stride.w + 1 + added.w + outer.w - a.padding.w;
  } else {
    h = window_output(image[1], w.size(1), a.stride.h, a.padding.h, a.dilation.h, false);
    width = window_output(image[2], w.size(2), a.stride.w, a.padding.w, a.dilation.w, false);
  }
  check(h >= 1 && width >= 1, "has no window in ", image);
  return x.rank() == 2 ? Shape{1, w.size(0)} : Shape{1, h, width, w.size(0)};
}

// Numbers small enough to compute with; none: all of an axis.
void check_attributes(const Op& op) {
  const auto fits = [](int64_t v) {
    return std::abs(static_cast<double>(v)) < 0x1p31 || v == std::numeric_limits<int64_t>::max();
  };
  for (const Field& field : op.fields()) {
    const auto* one = std::get_if<int64_t>(&field.value);
    const auto* list = std::get_if<std::vector<int64_t>>(&field.value);
    const auto* real = std::get_if<double>(&field.value);
    check((one == nullptr || fits(*one)) && (list == nullptr || std::all_of(list->begin(), list->end(), fits)) &&
              (real == nullptr || std::isfinite(*real)),
          "has ", field);
  }
}

// The same for any instruction.
Shape result_shape(const IntegerProgram& p, const Instruction& step) {
  const Shape& x = p.values[step.inputs[0]].shape;
  switch (step.opcode) {
    case Opcode::conv:
      return convolution_shape(p, step);
    case Opcode::quantize:
    case Opcode::dequantize:
      expect_inputs(step, 1, 1);
      return x;
    default:
      break;
  }
  check(step.op != nullptr, "has no operation");
  check_attributes(*step.op);
  Specs specs;
  size_t next = 0;
  for (const Tensor& constant : step.constants) {
    if (constant.defined()) {
      specs.push_back(constant.spec());
      continue;
    }
    check(next < step.inputs.size(), "has ", step.inputs.size(), " inputs, fewer than its operation");
    specs.push_back({DType::float32, p.values[step.inputs[next++]].shape});
  }
  check(next == step.inputs.size() || (step.constants.empty() && step.opcode != Opcode::cpu), "has ",
        step.inputs.size(), " inputs, but its operation reads ", next, " of them");
  for (; next < step.inputs.size(); ++next) specs.push_back({DType::float32, p.values[step.inputs[next]].shape});
  const Specs results = step.op->infer(specs);
  check(results.size() == 1 && results[0].dtype == DType::float32, "has an operation with other results");
  return results[0].shape;
}

// A program's batch is any: no operation takes or adds indices of it.
void check_axis(const IntegerProgram& p, const Instruction& step) {
  const int rank = p.values[step.inputs[0]].shape.rank();
  for (const Field& field : step.op->fields()) {
    if (field.name == "axis")
      check(normalize_axis(std::get<int64_t>(field.value), rank, "axis") != 0, "has the axis of the batch");
    if (field.name != "before" && field.name != "after") continue;
    const auto& added = std::get<std::vector<int64_t>>(field.value);
    check(added.empty() || added[0] == 0, "adds to the batch");
  }
}

// The operations that an opcode may have.
void check_operation(const IntegerProgram& p, const Instruction& step) {
  const std::string name = step.op == nullptr ? std::string() : std::string(step.op->name());
  const auto one_of = [&](size_t inputs, std::initializer_list<const char*> names) {
    if (inputs > 0) expect_inputs(step, inputs, inputs);
    check(std::find(names.begin(), names.end(), name) != names.end(), "has the operation '", name, "'");
  };
  switch (step.opcode) {
    case Opcode::add:
      return one_of(2, {"add", "sub"});
    case Opcode::mul:
      return one_of(2, {"mul"});
    case Opcode::mean:
      return one_of(1, {"mean"});
    case Opcode::avg_pool:
      return one_of(1, {"avg_pool2d"});
    case Opcode::max_pool:
      return one_of(1, {"max_pool2d"});
    case Opcode::resize:
      return one_of(1, {"resize"});
    case Opcode::concat:
      one_of(0, {"concat"});
      return check_axis(p, step);
    case Opcode::table:
      check(has_table(name), "has the operation '", name, "'");
      return expect_inputs(step, 1, 1);
    case Opcode::prelu:
      check(step.constants.size() == 2 && !step.constants[0].defined() && step.constants[1].defined(), "has no slopes");
      return one_of(1, {"prelu"});
    case Opcode::clamp:
      return one_of(1, {"relu", "relu6"});
    case Opcode::move:
      one_of(1, {"slice", "pad", "pixel_shuffle"});
      return check_axis(p, step);
    case Opcode::reshape:
      return one_of(1, {"reshape", "flatten"});
    default:
      return;
  }
}

bool passes(Opcode opcode) {
  return opcode == Opcode::max_pool || opcode == Opcode::resize || opcode == Opcode::clamp || opcode == Opcode::move ||
         opcode == Opcode::reshape;
}

// What the elements of inputs and output may be.
void check_types(const IntegerProgram& p, const Instruction& step) {
  const Value& y = p.values[step.output];
  const bool head = step.opcode == Opcode::conv && step.rescale.empty();
  const auto type_of_input = [&](size_t i) { return p.values[step.inputs[i]].dtype; };
  for (size_t i = 0; i < step.inputs.size(); ++i) {
    const bool integer = p.values[step.inputs[i]].is_integer();
    if (step.opcode == Opcode::cpu || step.opcode == Opcode::quantize)
      check(type_of_input(i) == DType::float32, "reads ", type_of_input(i), ", expected float32");
    else if (step.opcode == Opcode::dequantize)
      check(integer || type_of_input(i) == DType::int32, "reads ", type_of_input(i), ", expected integers");
    else
      check(integer, type_of_input(i) == DType::int32 ? "reads the accumulators of a head" : "reads float32");
  }
  if (step.opcode == Opcode::cpu || step.opcode == Opcode::dequantize)
    check(y.dtype == DType::float32, "gives ", y.dtype, ", expected float32");
  else
    check(head ? y.dtype == DType::int32 : y.is_integer(), "gives ", y.dtype, " with ", step.rescale.size(),
          " rescalings");
  check(!head || step.inputs.size() == 1, "is a head, and adds");
  if (!passes(step.opcode)) return;
  const Value& x = p.values[step.inputs[0]];
  check(x.dtype == y.dtype, "gives ", y.dtype, " from ", x.dtype);
  if (step.opcode != Opcode::clamp)
    check(y.low <= x.low && y.high >= x.high, "limits ", x.low, "..", x.high, " to ", y.low, "..", y.high);
}

// How many values sums have, ascending: a rescaling each.
std::vector<int64_t> check_sums(const IntegerProgram& p, const Instruction& step) {
  const Value& x = p.values[step.inputs[0]];
  int64_t count = x.shape.rank() == 4 ? x.shape[1] * x.shape[2] : 0;
  std::vector<int64_t> counts{count};
  check(count > 0, "reads ", x.shape, ", expected [1,H,W,C] with at least one pixel");
  if (step.opcode == Opcode::avg_pool) {
    const auto& a = static_cast<const ops::AvgPool2d&>(*step.op).attributes;
    counts = AvgPoolPlan(a, x.shape, p.values[step.output].shape).counts;
    count = counts.back();
  } else {
    check(p.values[step.output].shape.elements() == x.shape[3], "is no mean over an image");
  }
  check(count < (int64_t{1} << (x.dtype == DType::int16 ? 15 : 23)), "adds ", count, " values of ", x.dtype,
        ", which could overflow 32 bits");
  return counts;
}

void check_table(const IntegerProgram& p, const Instruction& step) {
  const Value &x = p.values[step.inputs[0]], &y = p.values[step.output];
  const int64_t entries = x.dtype == DType::int16 ? 1 << 16 : 1 << 8;
  check(step.table.defined() && step.table.spec() == Spec{y.dtype, {entries}}, "has no table of ", entries, " ",
        y.dtype);
  const auto check_entries = [&](auto values) {
    for (const auto v : values)
      check(v >= y.low && v <= y.high, "has the entry ", int64_t{v}, " in its table, outside of ", y.low, "..", y.high);
  };
  y.dtype == DType::int16 ? check_entries(step.table.values<int16_t>()) : check_entries(step.table.values<int8_t>());
}

// Nothing is in a file that is of no use.
void check_parts(const Instruction& step) {
  const bool conv = step.opcode == Opcode::conv, table = step.opcode == Opcode::table;
  const bool operands = step.opcode == Opcode::cpu || step.opcode == Opcode::prelu;
  check(conv || !(step.weight.defined() || step.bias.defined() || step.weight_scales.defined()), "has weights");
  check(table || !step.table.defined(), "has a table");
  check(operands || step.constants.empty(), "has constants");
}

// The largest magnitude of a convolution's accumulators in one channel, the bias included.
int64_t channel_reach(const Instruction& step, int64_t channel, int64_t x) {
  const int64_t each = step.weight.elements() / step.weight.size(0);
  const int8_t* w = step.weight.data<int8_t>() + channel * each;
  int64_t sum = 0;
  for (int64_t i = 0; i < each; ++i) sum += std::abs(int{w[i]});
  return sum * x + std::abs(int64_t{step.bias.data<int32_t>()[channel]});
}

// What keeps the arithmetic exact: sums that the datapath holds.
void check_rescalings(const IntegerProgram& p, const Instruction& step) {
  std::vector<int64_t> counts;
  const bool head = p.values[step.output].dtype == DType::int32;
  size_t expected = 0;
  switch (step.opcode) {
    case Opcode::conv:
      expected = head ? 0 : static_cast<size_t>(step.weight.size(0));
      break;
    case Opcode::add:
    case Opcode::mul:
      expected = 1;
      break;
    case Opcode::mean:
    case Opcode::avg_pool:
      counts = check_sums(p, step);
      expected = counts.size();
      break;
    case Opcode::concat:
      expected = step.inputs.size();
      break;
    case Opcode::prelu:
      expected = static_cast<size_t>(step.constants[1].elements());
      break;
    default:
      break;
  }
  check(step.rescale.size() == expected, "has ", step.rescale.size(), " rescalings, expected ", expected);
  const int64_t x = reach(p.values[step.inputs[0]]);
  for (size_t c = 0; c < step.rescale.size(); ++c) {
    int64_t a = x, b = 0;
    switch (step.opcode) {
      case Opcode::conv:
        a = channel_reach(step, static_cast<int64_t>(c), x);
        if (step.inputs.size() == 2) b = reach(p.values[step.inputs[1]]);
        break;
      case Opcode::add:
        b = reach(p.values[step.inputs[1]]);
        break;
      case Opcode::mul:
        a = x * reach(p.values[step.inputs[1]]);
        break;
      case Opcode::mean:
      case Opcode::avg_pool:
        a = x * counts[c];
        break;
      case Opcode::concat:
        a = reach(p.values[step.inputs[c]]);
        break;
      case Opcode::prelu:
        b = x;
        break;
      default:
        break;
    }
    p.march.datapath->check_rescaling(step.rescale[c], a, b);
  }
}

void check_instruction(const IntegerProgram& p, const Instruction& step, const std::vector<bool>& known) {
  check(step.output >= 0 && step.output < static_cast<int>(p.values.size()) && !known[step.output], "writes value ",
        step.output);
  check(!step.inputs.empty(), "has no inputs");
  for (const int input : step.inputs)
    check(input >= 0 && input < static_cast<int>(p.values.size()) && known[input], "reads value ", input,
          ", which does not exist then");
  check_parts(step);
  check_types(p, step);
  check_operation(p, step);
  const Value& y = p.values[step.output];
  const Shape shape = result_shape(p, step);
  check(shape == y.shape, "gives ", shape, ", but its value is ", y.shape);
  if (step.opcode == Opcode::conv && step.inputs.size() == 2)
    check(p.values[step.inputs[1]].shape == y.shape, "adds ", p.values[step.inputs[1]].shape, " to ", y.shape);
  if (step.opcode == Opcode::add || step.opcode == Opcode::mul)
    for (const int input : step.inputs)
      check(p.values[input].shape.rank() == y.shape.rank(), "broadcasts ", p.values[input].shape, " to ", y.shape);
  if (step.opcode == Opcode::table) check_table(p, step);
  check_rescalings(p, step);
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
      fail("program: instruction ", i, " (", to_string(step.opcode), ") ", error.what());
    }
    known[step.output] = true;
  }
  for (const int output : program.outputs)
    check(output >= 0 && output < static_cast<int>(known.size()) && known[output], "program: output ", output,
          " is never made");
}

}  // namespace sinter::quant
