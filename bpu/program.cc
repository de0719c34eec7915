#include "program.h"

#include <algorithm>
#include <array>
#include <cstdlib>

#include "../core/op_registry.h"
#include "../core/serialize.h"
#include "../quant/fused_conv.h"

namespace sinter::bpu {

namespace {

constexpr const char* kKind = "program";
constexpr int64_t kMaxBias = int64_t{1} << 30;

Tensor integers(const std::vector<int64_t>& values) {
  return Tensor::from({static_cast<int64_t>(values.size())}, values);
}

std::vector<int> indices(const Archive& archive, const std::string& name) {
  const Tensor& stored = archive.tensor(name);
  check(stored.dtype() == DType::int64 && stored.rank() == 1, name, " is ", stored.spec(), ", expected int64 [N]");
  std::vector<int> result;
  for (const int64_t value : stored.values<int64_t>()) {
    check(value >= 0 && value < (int64_t{1} << 31), name, ": index ", value, " is out of range");
    result.push_back(static_cast<int>(value));
  }
  return result;
}

std::vector<int64_t> wide(const std::vector<int>& values) { return {values.begin(), values.end()}; }

std::string numbered(const char* what, size_t i) {
  const std::string digits = std::to_string(i);  // in the order of the numbers when sorted by name
  return text(what, "/", std::string(digits.size() < 6 ? 6 - digits.size() : 0, '0'), digits, "/");
}

int64_t bounded(const Archive& archive, const std::string& name, int64_t low, int64_t high) {
  const int64_t value = archive.integer(name);
  check(value >= low && value <= high, name, " is ", value, ", expected ", low, " to ", high);
  return value;
}

int small(const Archive& archive, const std::string& name) {
  return static_cast<int>(bounded(archive, name, INT32_MIN, INT32_MAX));
}

void write(const quant::March& march, Archive& archive) {
  archive.set("march/name", march.name);
  archive.set("march/power_of_two_scales", static_cast<int64_t>(march.power_of_two_scales));
  archive.set("march/min_scale_exponent", march.min_scale_exponent);
  archive.set("march/max_scale_exponent", march.max_scale_exponent);
  archive.set("march/multiplier_bits", march.multiplier_bits);
  archive.set("march/max_shift", march.max_shift);
  archive.set("march/int16_activations", static_cast<int64_t>(march.int16_activations));
  archive.set("march/int16_kernel", march.int16_kernel);
  archive.set("march/half_up", static_cast<int64_t>(march.rounding == quant::Rounding::half_up));
}

quant::March read_march(const Archive& archive) {
  return {.name = archive.text("march/name"),
          .power_of_two_scales = bounded(archive, "march/power_of_two_scales", 0, 1) == 1,
          .min_scale_exponent = small(archive, "march/min_scale_exponent"),
          .max_scale_exponent = small(archive, "march/max_scale_exponent"),
          .multiplier_bits = static_cast<int>(bounded(archive, "march/multiplier_bits", 1, 31)),
          .max_shift = static_cast<int>(bounded(archive, "march/max_shift", 0, 46)),
          .rounding =
              bounded(archive, "march/half_up", 0, 1) == 1 ? quant::Rounding::half_up : quant::Rounding::half_to_even,
          .int16_activations = bounded(archive, "march/int16_activations", 0, 1) == 1,
          .int16_kernel = archive.integer("march/int16_kernel")};
}

// The types that a value may have, as files name them.
constexpr std::array kTypes{DType::int8, DType::int16, DType::int32, DType::float32};

void write(const Value& value, const std::string& prefix, Archive& archive) {
  archive.set(prefix + "name", value.name);
  archive.set(prefix + "shape", integers({value.shape.begin(), value.shape.end()}));
  archive.set(prefix + "type", std::string(to_string(value.dtype)));
  archive.set(prefix + "bits", value.bits);
  archive.set(prefix + "scale", static_cast<double>(value.scale));
  archive.set(prefix + "low", value.low);
  archive.set(prefix + "high", value.high);
}

Value read_value(const std::string& prefix, const Archive& archive) {
  const Tensor& shape = archive.tensor(prefix + "shape");
  check(shape.dtype() == DType::int64 && shape.rank() == 1, prefix, "shape is ", shape.spec(), ", expected int64 [N]");
  const std::string& type = archive.text(prefix + "type");
  const auto found = std::find_if(kTypes.begin(), kTypes.end(), [&](DType t) { return to_string(t) == type; });
  check(found != kTypes.end(), prefix, "type is '", type, "', expected int8, int16, int32 or float32");
  return {.name = archive.text(prefix + "name"),
          .shape = Shape(shape.values<int64_t>()),
          .dtype = *found,
          .scale = static_cast<float>(archive.real(prefix + "scale")),
          .low = small(archive, prefix + "low"),
          .high = small(archive, prefix + "high"),
          .bits = small(archive, prefix + "bits")};
}

// Tensors of an instruction, by name; those that are undefined are left out.
template <class F>
void each_tensor(Instruction& step, const F& f) {
  f("weight", step.weight);
  f("bias", step.bias);
  f("weight_scales", step.weight_scales);
}

void write(const Instruction& step, const std::string& prefix, Archive& archive) {
  archive.set(prefix + "opcode", static_cast<int64_t>(step.opcode));
  archive.set(prefix + "inputs", integers(wide(step.inputs)));
  archive.set(prefix + "output", step.output);
  if (step.op != nullptr) save_op(*step.op, archive, prefix);
  Instruction copy = step;
  each_tensor(copy, [&](const char* name, const Tensor& tensor) {
    if (tensor.defined()) archive.set(prefix + name, tensor);
  });
  archive.set(prefix + "constant count", step.constants.size());
  for (size_t i = 0; i < step.constants.size(); ++i)
    if (step.constants[i].defined()) archive.set(text(prefix, "constant/", i), step.constants[i]);
  std::vector<int64_t> rescale;
  for (const quant::Multiplier& r : step.rescale) rescale.insert(rescale.end(), {r.m, r.shift, r.skip});
  archive.set(prefix + "rescale", integers(rescale));
}

Instruction read_instruction(const std::string& prefix, const Archive& archive) {
  Instruction step;
  step.opcode = static_cast<Opcode>(bounded(archive, prefix + "opcode", 0, static_cast<int64_t>(Opcode::cpu)));
  step.inputs = indices(archive, prefix + "inputs");
  step.output = small(archive, prefix + "output");
  if (archive.contains(prefix + "op")) {
    const std::string name = load_op_name(archive, prefix);
    const std::vector<Field> fields = load_op_fields(archive, prefix);
    FusedConvAttributes fused;
    const bool is_fused = std::any_of(fields.begin(), fields.end(), [](const Field& f) { return f.name == "linear"; });
    if (is_fused) {
      assign_fields(fused, fields);
      activation_named(fused.activation);
      step.op = std::make_shared<quant::FusedConv>(fused);
    } else {
      step.op = make_op(name, fields);
    }
  }
  each_tensor(step, [&](const char* name, Tensor& tensor) {
    if (archive.contains(prefix + name)) tensor = archive.tensor(prefix + name);
  });
  const int64_t constants = bounded(archive, prefix + "constant count", 0, 64);
  for (int64_t i = 0; i < constants; ++i) {
    const std::string name = text(prefix, "constant/", i);
    step.constants.push_back(archive.contains(name) ? archive.tensor(name) : Tensor());
  }
  const Tensor& rescale = archive.tensor(prefix + "rescale");
  check(rescale.dtype() == DType::int64 && rescale.rank() == 1 && rescale.elements() % 3 == 0, prefix, "rescale is ",
        rescale.spec(), ", expected int64 [3 N]");
  const auto numbers = rescale.values<int64_t>();
  for (size_t i = 0; i < numbers.size(); i += 3) {
    check(numbers[i] >= 0 && numbers[i] <= INT32_MAX && numbers[i + 1] >= 0 && numbers[i + 1] <= 46, prefix,
          "rescale: ", numbers[i], " / 2^", numbers[i + 1], " is no multiplier");
    step.rescale.push_back({static_cast<int32_t>(numbers[i]), static_cast<int32_t>(numbers[i + 1]), numbers[i + 2]});
  }
  return step;
}

int64_t reach(const Value& value) {
  return std::max(std::abs(static_cast<int64_t>(value.low)), std::abs(static_cast<int64_t>(value.high)));
}

const FusedConvAttributes& attributes_of(const Instruction& step) {
  const auto* conv = dynamic_cast<const quant::FusedConv*>(step.op.get());
  check(conv != nullptr, "has no attributes of a convolution");
  return conv->attributes;
}

void expect_inputs(const Instruction& step, size_t least, size_t most) {
  check(step.inputs.size() >= least && step.inputs.size() <= most, "has ", step.inputs.size(), " inputs");
}

// The shape that a convolution gives its output; an Error where its inputs do not fit.
Shape convolution_shape(const Program& p, const Instruction& step) {
  expect_inputs(step, 1, 2);
  const Shape& x = p.values[step.inputs[0]].shape;
  const FusedConvAttributes& a = attributes_of(step);
  const Tensor& w = step.weight;
  const Shape image = x.rank() == 2 ? Shape{1, 1, 1, x[1]} : x;
  check(image.rank() == 4, "reads ", x, ", expected [1,H,W,C] or [1,C]");
  check(w.defined() && step.bias.defined() && step.weight_scales.defined(), "has no weights");
  check(w.dtype() == DType::int8 && w.rank() == 4 && w.elements() > 0 && a.groups >= 1 && w.size(3) <= image[3] &&
            w.size(3) * a.groups == image[3] && w.size(0) % a.groups == 0,
        "has weights ", w.spec(), " in ", a.groups, " groups for an input of ", image[3], " channels");
  check(step.bias.spec() == Spec{DType::int32, {w.size(0)}} &&
            step.weight_scales.spec() == Spec{DType::float32, {w.size(0)}},
        "has bias ", step.bias.spec(), " and scales ", step.weight_scales.spec(), " for ", w.size(0), " channels");
  for (const int32_t b : step.bias.values<int32_t>())
    check(std::abs(static_cast<int64_t>(b)) <= kMaxBias, "has the bias ", b, ", expected at most 2^30");
  for (const Pair& pair : {a.stride, a.dilation, Pair{a.padding.h + 1, a.padding.w + 1}})
    check(pair.h >= 1 && pair.h <= (1 << 20) && pair.w >= 1 && pair.w <= (1 << 20), "has a window of size ", pair);
  const int64_t h = window_output(image[1], w.size(1), a.stride.h, a.padding.h, a.dilation.h, false);
  const int64_t width = window_output(image[2], w.size(2), a.stride.w, a.padding.w, a.dilation.w, false);
  check(h >= 1 && width >= 1, "has no window in ", image);
  return x.rank() == 2 ? Shape{1, w.size(0)} : Shape{1, h, width, w.size(0)};
}

// The same for any instruction.
Shape result_shape(const Program& p, const Instruction& step) {
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
  Specs specs;
  size_t next = 0;
  for (const Tensor& constant : step.constants) {
    if (constant.defined()) {
      specs.push_back(constant.spec());
      continue;
    }
    check(next < step.inputs.size(), "has ", step.inputs.size(), " inputs");
    specs.push_back({DType::float32, p.values[step.inputs[next++]].shape});
  }
  for (; next < step.inputs.size(); ++next) specs.push_back({DType::float32, p.values[step.inputs[next]].shape});
  const Specs results = step.op->infer(specs);
  check(results.size() == 1 && results[0].dtype == DType::float32, "has an operation with other results");
  return results[0].shape;
}

// The operations that an opcode may have.
void check_operation(const Instruction& step) {
  const std::string name = step.op == nullptr ? std::string() : std::string(step.op->name());
  const auto one_of = [&](std::initializer_list<const char*> names) {
    check(std::find(names.begin(), names.end(), name) != names.end(), "has the operation '", name, "'");
  };
  switch (step.opcode) {
    case Opcode::add:
      expect_inputs(step, 2, 2);
      return one_of({"add"});
    case Opcode::mean:
      expect_inputs(step, 1, 1);
      return one_of({"mean"});
    case Opcode::max_pool:
      expect_inputs(step, 1, 1);
      return one_of({"max_pool2d"});
    case Opcode::clamp:
      expect_inputs(step, 1, 1);
      return one_of({"relu", "relu6"});
    case Opcode::reshape:
      expect_inputs(step, 1, 1);
      return one_of({"reshape", "flatten"});
    default:
      return;
  }
}

// What the elements of inputs and output may be.
void check_types(const Program& p, const Instruction& step) {
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
          " multipliers");
  check(!head || step.inputs.size() == 1, "is a head, and adds");
}

void check_instruction(const Program& p, const Instruction& step, const std::vector<bool>& known) {
  check(step.output >= 0 && step.output < static_cast<int>(p.values.size()) && !known[step.output], "writes value ",
        step.output);
  check(!step.inputs.empty(), "has no inputs");
  for (const int input : step.inputs)
    check(input >= 0 && input < static_cast<int>(p.values.size()) && known[input], "reads value ", input,
          ", which does not exist then");
  check_types(p, step);
  check_operation(step);
  const Value& y = p.values[step.output];
  const Shape shape = result_shape(p, step);
  check(shape == y.shape, "gives ", shape, ", but its value is ", y.shape);
  const bool adds = step.opcode == Opcode::add || step.opcode == Opcode::conv;
  if (adds && step.inputs.size() == 2)
    check(p.values[step.inputs[1]].shape == y.shape, "adds ", p.values[step.inputs[1]].shape, " to ", y.shape);
  const bool head = y.dtype == DType::int32;
  const bool rescales = step.opcode == Opcode::conv || step.opcode == Opcode::add || step.opcode == Opcode::mean;
  const size_t expected = head || !rescales ? 0 : step.opcode == Opcode::conv ? step.weight.size(0) : 1;
  check(step.rescale.size() == expected, "has ", step.rescale.size(), " multipliers, expected ", expected);
  // What keeps the arithmetic exact: every term below 2^46.
  for (const quant::Multiplier& r : step.rescale)
    check(r.m >= 0 && r.m < (int64_t{1} << p.march.multiplier_bits) && r.shift >= 0 && r.shift <= p.march.max_shift &&
              r.skip >= 0 &&
              (step.inputs.size() < 2 || r.skip < (int64_t{1} << 46) / reach(p.values[step.inputs[1]]) + 1),
          "has the multiplier ", r.m, " / 2^", r.shift, " and ", r.skip, ", outside what the march computes with");
}

}  // namespace

void check_program(const Program& program) {
  std::vector<bool> known(program.values.size(), false);
  check(!program.inputs.empty() && !program.outputs.empty(), "program: it has no inputs or no outputs");
  for (const Value& value : program.values) {
    check(value.shape.rank() >= 1 && value.shape[0] == 1, "program: ", value.name, " is ", value.shape,
          ", expected the shape for one image");
    if (!value.is_integer()) continue;
    check(value.scale > 0 && value.scale <= 0x1p100f, "program: the scale of ", value.name, " is ", value.scale);
    const bool wide = value.dtype == DType::int16;
    check(wide ? value.bits == 16 : value.bits == 8 || value.bits == 4 || value.bits == 2, "program: ", value.name,
          " has ", value.bits, " bits in ", value.dtype);
    const quant::Bounds type = quant::type_bounds(value.bits, value.low < 0);
    check(value.low >= type.low && value.low <= value.high && value.high <= type.high && value.high > 0,
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

void save(const Program& program, const std::string& path) {
  Archive archive(kKind);
  write(program.march, archive);
  archive.set("version", program.version);
  archive.set("fingerprint", program.fingerprint);
  archive.set("inputs", integers(wide(program.inputs)));
  archive.set("outputs", integers(wide(program.outputs)));
  archive.set("value count", program.values.size());
  archive.set("instruction count", program.instructions.size());
  for (size_t i = 0; i < program.values.size(); ++i) write(program.values[i], numbered("value", i), archive);
  for (size_t i = 0; i < program.instructions.size(); ++i)
    write(program.instructions[i], numbered("instruction", i), archive);
  archive.write(path);
}

Program load_program(const std::string& path) {
  const Archive archive = Archive::read(path, kKind);
  try {
    Program program;
    program.march = read_march(archive);
    program.version = archive.text("version");
    program.fingerprint = archive.integer("fingerprint");
    program.inputs = indices(archive, "inputs");
    program.outputs = indices(archive, "outputs");
    const int64_t values = bounded(archive, "value count", 0, 1 << 20);
    const int64_t instructions = bounded(archive, "instruction count", 0, 1 << 20);
    for (int64_t i = 0; i < values; ++i) program.values.push_back(read_value(numbered("value", i), archive));
    for (int64_t i = 0; i < instructions; ++i)
      program.instructions.push_back(read_instruction(numbered("instruction", i), archive));
    check_program(program);
    return program;
  } catch (const Error& error) {
    fail(path, ": ", error.what());
  }
}

int64_t parameter_bytes(const Program& program) {
  int64_t bytes = 0;
  for (const Instruction& step : program.instructions) {
    if (step.opcode == Opcode::conv) bytes += step.weight.bytes() + step.bias.bytes();
    // A 16-bit multiplier and an 8-bit shift; a residual's multiplier has up to 46 bits.
    for (const quant::Multiplier& r : step.rescale) bytes += 3 + (r.skip != 0 ? 6 : 0);
  }
  return bytes;
}

std::string to_string(const Program& program) {
  std::string out = text("program for ", program.march, ", ", program.instructions.size(), " instructions, ",
                         parameter_bytes(program), " bytes of parameters\n");
  for (const int input : program.inputs)
    out += text(program.values[input].name, " = input ", program.values[input].shape, " scale ",
                program.values[input].scale, "\n");
  for (const Instruction& step : program.instructions) {
    const Value& y = program.values[step.output];
    out += text(y.name, " = ", to_string(step.opcode), "(");
    for (size_t i = 0; i < step.inputs.size(); ++i)
      out += text(i == 0 ? "" : ", ", program.values[step.inputs[i]].name);
    if (step.opcode == Opcode::conv) out += text("; weight ", step.weight.shape());
    out += text(") -> ", y.dtype, " ", y.shape);
    if (y.is_integer()) out += text(" scale ", y.scale, " in ", y.low, "..", y.high);
    out += '\n';
  }
  out += "return";
  for (const int output : program.outputs) out += " " + program.values[output].name;
  return out + '\n';
}

}  // namespace sinter::bpu
