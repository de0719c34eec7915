#include "program.h"

#include <algorithm>
#include <cstdlib>

#include "../core/serialize.h"

namespace sinter::bpu {

namespace {

constexpr const char* kKind = "program";
constexpr int64_t kMaxBias = int64_t{1} << 30;

Pair pair_of(const Tensor& sizes, int64_t at) { return {sizes.at<int64_t>({at}), sizes.at<int64_t>({at + 1})}; }

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
              bounded(archive, "march/half_up", 0, 1) == 1 ? quant::Rounding::half_up : quant::Rounding::half_to_even};
}

void write(const Value& value, const std::string& prefix, Archive& archive) {
  archive.set(prefix + "name", value.name);
  archive.set(prefix + "shape", integers({value.shape.begin(), value.shape.end()}));
  archive.set(prefix + "head", static_cast<int64_t>(value.dtype == DType::int32));
  archive.set(prefix + "scale", static_cast<double>(value.scale));
  archive.set(prefix + "low", value.low);
  archive.set(prefix + "high", value.high);
}

Value read_value(const std::string& prefix, const Archive& archive) {
  const Tensor& shape = archive.tensor(prefix + "shape");
  check(shape.dtype() == DType::int64 && shape.rank() == 1, prefix, "shape is ", shape.spec(), ", expected int64 [N]");
  return {.name = archive.text(prefix + "name"),
          .shape = Shape(shape.values<int64_t>()),
          .dtype = bounded(archive, prefix + "head", 0, 1) == 1 ? DType::int32 : DType::int8,
          .scale = static_cast<float>(archive.real(prefix + "scale")),
          .low = small(archive, prefix + "low"),
          .high = small(archive, prefix + "high")};
}

void write(const Instruction& step, const std::string& prefix, Archive& archive) {
  archive.set(prefix + "opcode", static_cast<int64_t>(step.opcode));
  archive.set(prefix + "inputs", integers(wide(step.inputs)));
  archive.set(prefix + "output", step.output);
  archive.set(prefix + "window", integers({step.kernel.h, step.kernel.w, step.stride.h, step.stride.w, step.padding.h,
                                           step.padding.w, step.dilation.h, step.dilation.w}));
  archive.set(prefix + "groups", step.groups);
  archive.set(prefix + "activation", step.activation);
  if (step.opcode == Opcode::conv) {
    archive.set(prefix + "weight", step.weight);
    archive.set(prefix + "bias", step.bias);
    archive.set(prefix + "weight_scales", step.weight_scales);
  }
  std::vector<int64_t> rescale;
  for (const Rescale& r : step.rescale) rescale.insert(rescale.end(), {r.multiplier, r.shift, r.skip_multiplier});
  archive.set(prefix + "rescale", integers(rescale));
}

Instruction read_instruction(const std::string& prefix, const Archive& archive) {
  Instruction step;
  step.opcode = static_cast<Opcode>(bounded(archive, prefix + "opcode", 0, static_cast<int64_t>(Opcode::reshape)));
  step.inputs = indices(archive, prefix + "inputs");
  step.output = small(archive, prefix + "output");
  const Tensor& window = archive.tensor(prefix + "window");
  check(window.spec() == Spec{DType::int64, {8}}, prefix, "window is ", window.spec(), ", expected int64 [8]");
  step.kernel = pair_of(window, 0);
  step.stride = pair_of(window, 2);
  step.padding = pair_of(window, 4);
  step.dilation = pair_of(window, 6);
  step.groups = archive.integer(prefix + "groups");
  step.activation = archive.text(prefix + "activation");
  if (step.opcode == Opcode::conv) {
    step.weight = archive.tensor(prefix + "weight");
    step.bias = archive.tensor(prefix + "bias");
    step.weight_scales = archive.tensor(prefix + "weight_scales");
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

bool is_int8(const Value& value) { return value.dtype == DType::int8; }

int64_t reach(const Value& value) {
  return std::max(std::abs(static_cast<int64_t>(value.low)), std::abs(static_cast<int64_t>(value.high)));
}

// The shape that an instruction gives its output; an Error where its inputs do not fit.
Shape result_shape(const Program& p, const Instruction& step) {
  const Shape& x = p.values[step.inputs[0]].shape;
  const auto expect_inputs = [&](size_t least, size_t most) {
    check(step.inputs.size() >= least && step.inputs.size() <= most, "has ", step.inputs.size(), " inputs");
  };
  const auto windows = [&](const Shape& image, int64_t channels) {
    for (const int64_t size : {step.kernel.h, step.kernel.w, step.stride.h, step.stride.w, step.dilation.h,
                               step.dilation.w, step.padding.h + 1, step.padding.w + 1})
      check(size >= 1 && size <= (1 << 20), "has a window of size ", size);
    const int64_t h = window_output(image[1], step.kernel.h, step.stride.h, step.padding.h, step.dilation.h, false);
    const int64_t w = window_output(image[2], step.kernel.w, step.stride.w, step.padding.w, step.dilation.w, false);
    check(h >= 1 && w >= 1, "has no window in ", image);
    return Shape{1, h, w, channels};
  };
  switch (step.opcode) {
    case Opcode::conv: {
      expect_inputs(1, 2);
      const Shape image = x.rank() == 2 ? Shape{1, 1, 1, x[1]} : x;
      check(image.rank() == 4, "reads ", x, ", expected [1,H,W,C] or [1,C]");
      const Tensor& w = step.weight;
      check(step.groups >= 1 && w.dtype() == DType::int8 && w.rank() == 4 && w.elements() > 0 &&
                w.size(1) == step.kernel.h && w.size(2) == step.kernel.w && w.size(3) <= image[3] &&
                w.size(3) * step.groups == image[3] && w.size(0) % step.groups == 0,
            "has weights ", w.spec(), " in ", step.groups, " groups for an input of ", image[3], " channels");
      check(step.bias.spec() == Spec{DType::int32, {w.size(0)}} &&
                step.weight_scales.spec() == Spec{DType::float32, {w.size(0)}},
            "has bias ", step.bias.spec(), " and scales ", step.weight_scales.spec(), " for ", w.size(0), " channels");
      for (const int32_t b : step.bias.values<int32_t>())
        check(std::abs(static_cast<int64_t>(b)) <= kMaxBias, "has the bias ", b, ", expected at most 2^30");
      const Shape y = windows(image, w.size(0));
      return x.rank() == 2 ? Shape{1, y[3]} : y;
    }
    case Opcode::add:
      expect_inputs(2, 2);
      return x;
    case Opcode::mean:
      expect_inputs(1, 1);
      check(x.rank() == 4, "reads ", x, ", expected [1,H,W,C]");
      return p.values[step.output].shape.rank() == 4 ? Shape{1, 1, 1, x[3]} : Shape{1, x[3]};
    case Opcode::max_pool:
      expect_inputs(1, 1);
      check(x.rank() == 4, "reads ", x, ", expected [1,H,W,C]");
      check(2 * step.padding.h <= step.kernel.h && 2 * step.padding.w <= step.kernel.w, "pads by ", step.padding,
            " for windows of ", step.kernel, ", expected at most half of it");
      return windows(x, x[3]);
    case Opcode::clamp:
      expect_inputs(1, 1);
      return x;
    case Opcode::reshape:
      expect_inputs(1, 1);
      check(p.values[step.output].shape.elements() == x.elements(), "gives ", x, " the shape ",
            p.values[step.output].shape);
      return p.values[step.output].shape;
  }
  fail("has an unknown opcode");
}

void check_instruction(const Program& p, const Instruction& step, const std::vector<bool>& known) {
  check(step.output >= 0 && step.output < static_cast<int>(p.values.size()) && !known[step.output], "writes value ",
        step.output);
  check(!step.inputs.empty(), "has no inputs");
  for (const int input : step.inputs) {
    check(input >= 0 && input < static_cast<int>(p.values.size()) && known[input], "reads value ", input,
          ", which does not exist then");
    check(is_int8(p.values[input]), "reads the accumulators of a head");
  }
  const Value& y = p.values[step.output];
  const Shape shape = result_shape(p, step);
  check(shape == y.shape, "gives ", shape, ", but its value is ", y.shape);
  if (step.inputs.size() == 2)
    check(p.values[step.inputs[1]].shape == y.shape, "adds ", p.values[step.inputs[1]].shape, " to ", y.shape);
  const bool head = step.opcode == Opcode::conv && step.rescale.empty();
  check(head == !is_int8(y), "gives ", y.dtype, " with ", step.rescale.size(), " multipliers");
  check(!head || step.inputs.size() == 1, "is a head, and adds");
  const bool rescales = step.opcode == Opcode::conv || step.opcode == Opcode::add || step.opcode == Opcode::mean;
  const size_t expected = head || !rescales ? 0 : step.opcode == Opcode::conv ? step.weight.size(0) : 1;
  check(step.rescale.size() == expected, "has ", step.rescale.size(), " multipliers, expected ", expected);
  // What keeps the arithmetic exact: every term below 2^46.
  for (const Rescale& r : step.rescale)
    check(r.multiplier >= 0 && r.multiplier < (int64_t{1} << p.march.multiplier_bits) && r.shift >= 0 &&
              r.shift <= p.march.max_shift && r.skip_multiplier >= 0 &&
              (step.inputs.size() < 2 || r.skip_multiplier < (int64_t{1} << 46) / reach(p.values[step.inputs[1]]) + 1),
          "has the multiplier ", r.multiplier, " / 2^", r.shift, " and ", r.skip_multiplier,
          ", outside what the march computes with");
}

}  // namespace

std::string to_string(Opcode opcode) {
  constexpr const char* kNames[] = {"conv", "add", "mean", "max_pool", "clamp", "reshape"};
  return kNames[static_cast<size_t>(opcode)];
}

const Instruction* Program::producer(int value) const {
  for (const Instruction& step : instructions)
    if (step.output == value) return &step;
  return nullptr;
}

void check_program(const Program& program) {
  std::vector<bool> known(program.values.size(), false);
  check(!program.inputs.empty() && !program.outputs.empty(), "program: it has no inputs or no outputs");
  for (const Value& value : program.values) {
    check(value.shape.rank() >= 1 && value.shape[0] == 1, "program: ", value.name, " is ", value.shape,
          ", expected the shape for one image");
    if (!is_int8(value)) continue;
    check(value.scale > 0 && value.scale <= 0x1p100f, "program: the scale of ", value.name, " is ", value.scale);
    check(value.low >= -128 && value.low <= value.high && value.high <= 127 && value.high > 0,
          "program: the bounds of ", value.name, " are ", value.low, "..", value.high);
  }
  for (const int input : program.inputs) {
    check(input >= 0 && input < static_cast<int>(known.size()) && !known[input] && is_int8(program.values[input]),
          "program: input ", input, " is no int8 value");
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
    for (const Rescale& r : step.rescale) bytes += 3 + (r.skip_multiplier != 0 ? 6 : 0);
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
    if (is_int8(y)) out += text(" scale ", y.scale, " in ", y.low, "..", y.high);
    out += '\n';
  }
  out += "return";
  for (const int output : program.outputs) out += " " + program.values[output].name;
  return out + '\n';
}

Tensor dequantize(const Program& program, int value, const Tensor& integers) {
  const Value& v = program.values[value];
  Tensor result = Tensor::empty(integers.shape());
  float* out = result.mutable_data<float>();
  if (is_int8(v)) {
    const int8_t* in = integers.data<int8_t>();
    for (int64_t i = 0; i < integers.elements(); ++i) out[i] = static_cast<float>(in[i]) * v.scale;
    return result;
  }
  const Instruction& head = *program.producer(value);
  const double x_scale = static_cast<double>(program.values[head.inputs[0]].scale);
  const auto scales = head.weight_scales.values<float>();
  const auto* acc = integers.data<int32_t>();
  for (int64_t i = 0; i < integers.elements(); ++i)
    out[i] = static_cast<float>(static_cast<double>(acc[i]) *
                                (x_scale * static_cast<double>(scales[i % static_cast<int64_t>(scales.size())])));
  return result;
}

}  // namespace sinter::bpu
