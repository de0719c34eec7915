#include "program.h"

#include <algorithm>
#include <array>
#include <cstdlib>

#include "../core/op_registry.h"
#include "../core/serialize.h"
#include "../core/within.h"
#include "../quant/fused_conv.h"

namespace sinter::bpu {

namespace {

constexpr const char* kKind = "program";

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

int small(const Archive& archive, const std::string& name) {
  return static_cast<int>(archive.integer(name, INT32_MIN, INT32_MAX));
}

void write(const quant::Arithmetic& march, Archive& archive) {
  archive.set("march/name", march.name);
  archive.set("march/datapath", std::string(march.datapath->name()));
  save_fields(march.datapath->fields(), archive, "march/datapath/");
  archive.set("march/power_of_two_scales", static_cast<int64_t>(march.power_of_two_scales));
  archive.set("march/min_scale_exponent", march.min_scale_exponent);
  archive.set("march/max_scale_exponent", march.max_scale_exponent);
  archive.set("march/resize_bits", march.resize_bits);
  archive.set("march/subtracts", static_cast<int64_t>(march.subtracts));
  archive.set("march/int16_activations", static_cast<int64_t>(march.int16_activations));
  archive.set("march/int16_kernel", march.int16_kernel);
  archive.set("rounding", to_string(march.rounding));
  archive.set("power_of_two", to_string(march.power_of_two));
}

quant::Arithmetic read_march(const Archive& archive) {
  check(archive.contains("march/datapath"),
        "it was compiled by a version whose integers were other ones than the chips' (powers of two on bernoulli2, one "
        "multiplier everywhere); compile the model again");
  quant::March march{
      .name = archive.text("march/name"),
      .datapath = quant::make_datapath(archive.text("march/datapath"), load_fields(archive, "march/datapath/")),
      .power_of_two_scales = archive.integer("march/power_of_two_scales", 0, 1) == 1,
      .min_scale_exponent = small(archive, "march/min_scale_exponent"),
      .max_scale_exponent = small(archive, "march/max_scale_exponent"),
      .resize_bits = small(archive, "march/resize_bits"),
      .subtracts = archive.integer("march/subtracts", 0, 1) == 1,
      .int16_activations = archive.integer("march/int16_activations", 0, 1) == 1,
      .int16_kernel = archive.integer("march/int16_kernel")};
  march.validate();
  return {march, quant::rounding_named(archive.text("rounding")),
          quant::power_of_two_named(archive.text("power_of_two"))};
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
  f("table", step.table);
}

void write(const Instruction& step, const std::string& prefix, Archive& archive) {
  archive.set(prefix + "layer", step.layer);
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
  for (const quant::Rescaling& r : step.rescale) rescale.insert(rescale.end(), {r.first, r.second, r.pre, r.m, r.post});
  archive.set(prefix + "rescale", integers(rescale));
}

// Fused convolutions have the names of those that they are made of.
bool is_fused(const std::string& name, const std::vector<Field>& fields) {
  return (name == "conv2d" || name == "conv_transpose2d" || name == "linear") &&
         std::any_of(fields.begin(), fields.end(), [](const Field& field) { return field.name == "linear"; });
}

Instruction read_instruction(const std::string& prefix, const Archive& archive) {
  Instruction step;
  step.layer = archive.text(prefix + "layer");
  step.inputs = indices(archive, prefix + "inputs");
  step.output = small(archive, prefix + "output");
  if (archive.contains(prefix + "op")) {
    const std::string name = load_op_name(archive, prefix);
    const std::vector<Field> fields = load_fields(archive, prefix);
    FusedConvAttributes fused;
    if (is_fused(name, fields)) {
      assign_fields(fused, fields);
      activation_named(fused.activation);
      step.op = std::make_shared<quant::FusedConv>(fused);
      check_fields(*step.op, fields);
    } else {
      step.op = make_op(name, fields);
    }
  }
  each_tensor(step, [&](const char* name, Tensor& tensor) {
    if (archive.contains(prefix + name)) tensor = archive.tensor(prefix + name);
  });
  const int64_t constants = archive.integer(prefix + "constant count", 0, 64);
  for (int64_t i = 0; i < constants; ++i) {
    const std::string name = text(prefix, "constant/", i);
    step.constants.push_back(archive.contains(name) ? archive.tensor(name) : Tensor());
  }
  const Tensor& rescale = archive.tensor(prefix + "rescale");
  check(rescale.dtype() == DType::int64 && rescale.rank() == 1 && rescale.elements() % 5 == 0, prefix, "rescale is ",
        rescale.spec(), ", expected int64 [5 N]");
  const auto numbers = rescale.values<int64_t>();
  const auto word = [&](size_t i) {
    check(std::abs(static_cast<double>(numbers[i])) < 0x1p31, prefix, "rescale: ", numbers[i], " is no shift");
    return static_cast<int32_t>(numbers[i]);
  };
  for (size_t i = 0; i < numbers.size(); i += 5)
    step.rescale.push_back({numbers[i], numbers[i + 1], word(i + 2), word(i + 3), word(i + 4)});
  return step;
}

}  // namespace

void save(const Program& program, const std::string& path) {
  Archive archive(kKind);
  write(program.march, archive);
  archive.set("version", program.version);
  archive.set("fingerprint", program.fingerprint);
  archive.set("inputs", integers(wide(program.inputs)));
  archive.set("outputs", integers(wide(program.outputs)));
  archive.set("value count", program.values.size());
  archive.set("instruction count", program.instructions.size());
  for (const Instruction& step : program.instructions)
    if (step.op != nullptr && dynamic_cast<const quant::FusedConv*>(step.op.get()) == nullptr)
      within(text("save: ", program.values[step.output].name), [&] { check_can_be_made(*step.op); });
  for (size_t i = 0; i < program.values.size(); ++i) write(program.values[i], numbered("value", i), archive);
  for (size_t i = 0; i < program.instructions.size(); ++i)
    write(program.instructions[i], numbered("instruction", i), archive);
  archive.write(path);
}

Program load_program(const std::string& path) {
  const Archive archive = Archive::read(path, kKind);
  return within(path, [&] {
    Program program;
    program.march = read_march(archive);
    program.version = archive.text("version");
    program.fingerprint = archive.integer("fingerprint");
    program.inputs = indices(archive, "inputs");
    program.outputs = indices(archive, "outputs");
    const int64_t values = archive.integer("value count", 0, 1 << 20);
    const int64_t instructions = archive.integer("instruction count", 0, 1 << 20);
    for (int64_t i = 0; i < values; ++i) program.values.push_back(read_value(numbered("value", i), archive));
    for (int64_t i = 0; i < instructions; ++i)
      program.instructions.push_back(read_instruction(numbered("instruction", i), archive));
    check_program(program);
    return program;
  });
}

int64_t parameter_bytes(const Program& program) {
  int64_t bytes = 0;
  for (const Instruction& step : program.instructions) {
    for (const Tensor& part : {step.weight, step.bias, step.table})
      if (part.defined()) bytes += part.bytes();
    // A multiplier of 16 bits and two shifts; a second factor has up to 46 bits.
    for (const quant::Rescaling& r : step.rescale) bytes += 4 + (r.second != 0 ? 6 : 0);
  }
  return bytes;
}

std::string to_string(const Program& program) {
  std::string out = text("program for ", brief(program.march), ", ", program.instructions.size(), " instructions, ",
                         parameter_bytes(program), " bytes of parameters\n");
  for (const int input : program.inputs)
    out += text(program.values[input].name, " = input ", program.values[input].shape, " scale ",
                program.values[input].scale, "\n");
  for (const Instruction& step : program.instructions) {
    const Value& y = program.values[step.output];
    out += text(y.name, " = ", step.layer, "(");
    for (size_t i = 0; i < step.inputs.size(); ++i)
      out += text(i == 0 ? "" : ", ", program.values[step.inputs[i]].name);
    if (step.weight.defined()) out += text("; weight ", step.weight.shape());
    out += text(") -> ", y.dtype, " ", y.shape);
    if (y.is_integer()) out += text(" scale ", y.scale, " in ", y.low, "..", y.high);
    out += '\n';
  }
  out += "return";
  for (const int output : program.outputs) out += " " + program.values[output].name;
  std::vector<std::string> in_float;
  for (const Instruction& step : program.instructions)
    if (step.layer == quant::kCpu) in_float.push_back(program.values[step.output].name);
  if (!in_float.empty()) out += "\nnote: " + joined(in_float) + quant::kInFloat;
  return out + '\n';
}

}  // namespace sinter::bpu
