#include "reference.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdlib>

namespace sinter::bpu {

namespace {

__extension__ using Wide = __int128;

// p / q * 2^exponent, exactly; p and q at least 0 and below 2^62.
struct Rational {
  int64_t p = 0, q = 1;
  int exponent = 0;
};

Rational exact(float scale) {
  int exponent = 0;
  const float fraction = std::frexp(scale, &exponent);
  return {static_cast<int64_t>(std::ldexp(fraction, 24)), 1, exponent - 24};
}

Rational operator*(const Rational& a, const Rational& b) { return {a.p * b.p, a.q * b.q, a.exponent + b.exponent}; }
Rational operator/(const Rational& a, const Rational& b) { return {a.p * b.q, a.q * b.p, a.exponent - b.exponent}; }

// The integer nearest to r 2^shift, ties to even; 2^60 for anything larger.
int64_t nearest(const Rational& r, int shift) {
  const int power = r.exponent + shift;
  if (r.p == 0 || power < -64) return 0;
  if (power > 64) return int64_t{1} << 60;
  const Wide p = static_cast<Wide>(r.p) << std::max(power, 0), q = static_cast<Wide>(r.q) << std::max(-power, 0);
  const Wide whole = p / q, twice = 2 * (p % q);
  const Wide result = whole + (twice > q || (twice == q && whole % 2 == 1) ? 1 : 0);
  return result > (Wide{1} << 60) ? int64_t{1} << 60 : static_cast<int64_t>(result);
}

// An attribute of an instruction's operation, by name.
struct Attributes {
  std::vector<Field> fields;

  explicit Attributes(const Instruction& step)
      : fields(step.op == nullptr ? std::vector<Field>() : step.op->fields()) {}
  const Field::Value* find(std::string_view name) const {
    for (const Field& field : fields)
      if (field.name == name) return &field.value;
    return nullptr;
  }
  template <class T>
  T get(std::string_view name, T otherwise) const {
    const Field::Value* value = find(name);
    return value == nullptr ? otherwise : std::get<T>(*value);
  }
  // Height and width.
  std::array<int64_t, 2> pair(std::string_view name) const {
    const auto both = std::get<std::vector<int64_t>>(*find(name));
    return {both.at(0), both.at(1)};
  }
};

// What limits an instruction's output besides its type: a ReLU or ReLU6 of its own.
std::string activation_of(const Instruction& step) {
  if (step.opcode == Opcode::clamp) return std::string(step.op->name());
  return step.opcode == Opcode::conv ? Attributes(step).get<std::string>("activation", "none") : "none";
}

// The multipliers that the scales ask for: those of the largest shift for which they and their terms stay small.
quant::Multiplier asked_for(const quant::March& march, const Rational& ratio, const Rational& skip_ratio,
                            int64_t skip_reach) {
  for (int shift = march.max_shift; shift >= 0; --shift) {
    const int64_t m = nearest(ratio, shift), skip = nearest(skip_ratio, shift);
    const bool fits = static_cast<Wide>(skip) * skip_reach < (Wide{1} << 46);
    if (m < (int64_t{1} << march.multiplier_bits) && fits) return {static_cast<int32_t>(m), shift, skip};
  }
  return {-1, -1, -1};
}

// value / 2^shift, rounded as the march rounds.
int64_t rounded(int64_t value, int shift, bool half_up) {
  if (shift == 0) return value;
  const int64_t floor = value >> shift, rest = value - (floor << shift), half = int64_t{1} << (shift - 1);
  if (rest != half) return floor + (rest > half ? 1 : 0);
  return half_up || floor % 2 != 0 ? floor + 1 : floor;
}

int64_t reach(const Value& value) {
  return std::max(std::abs(static_cast<int64_t>(value.low)), std::abs(static_cast<int64_t>(value.high)));
}

// A real number as the integer of a value: the product with 1 / scale in float32, as the specification has it.
int64_t quantized(float x, const Value& value, bool half_up) {
  const float v = x * (1.0f / value.scale);
  if (std::isnan(v)) return 0;
  if (v <= static_cast<float>(value.low)) return value.low;
  if (v >= static_cast<float>(value.high)) return value.high;
  const double wide = v, floor = std::floor(wide), rest = wide - floor;
  const bool up = rest > 0.5 || (rest == 0.5 && (half_up || std::fmod(floor, 2.0) != 0));
  return static_cast<int64_t>(floor) + (up ? 1 : 0);
}

struct Plain {
  Shape shape;
  std::vector<int64_t> values;
  Tensor real;  // instead, where a value is float32
};

Tensor tensor_of(const Plain& plain, DType dtype) {
  if (dtype == DType::float32) return plain.real;
  if (dtype == DType::int16)
    return Tensor::from(plain.shape, std::vector<int16_t>(plain.values.begin(), plain.values.end()));
  if (dtype == DType::int8)
    return Tensor::from(plain.shape, std::vector<int8_t>(plain.values.begin(), plain.values.end()));
  return Tensor::from(plain.shape, std::vector<int32_t>(plain.values.begin(), plain.values.end()));
}

std::string check_bounds(const Program& program, const Instruction& step) {
  const Value& y = program.values[step.output];
  if (!y.is_integer()) return {};
  // Of the type; from 0 where narrow values are never negative; and one less below where both ends are to be alike.
  const int64_t half = int64_t{1} << (y.bits - 1);
  const bool from_zero = y.bits < 8 && y.low == 0;
  int64_t low = from_zero ? 0 : -half, high = from_zero ? 2 * half - 1 : half - 1;
  if (y.low == 1 - half) low = 1 - half;
  if (step.opcode == Opcode::max_pool || step.opcode == Opcode::reshape || step.opcode == Opcode::clamp) {
    low = program.values[step.inputs[0]].low;
    high = program.values[step.inputs[0]].high;
  }
  const std::string activation = activation_of(step);
  if (activation == "relu" || activation == "relu6") low = 0;
  if (activation == "relu6") {
    Value whole = y;
    whole.low = static_cast<int32_t>(low);
    whole.high = static_cast<int32_t>(high);
    high = quantized(6.0f, whole, program.march.rounding == quant::Rounding::half_up);
  }
  if (y.low == low && y.high == high) return {};
  return text("\n  ", y.name, ": its bounds are ", y.low, "..", y.high, ", expected ", low, "..", high);
}

std::string check_rescale(const Program& program, const Instruction& step) {
  const Value& y = program.values[step.output];
  const Value& x = program.values[step.inputs[0]];
  std::string wrong;
  Rational skip{};
  int64_t skip_reach = 0;
  if (step.inputs.size() == 2) {
    const Value& other = program.values[step.inputs[1]];
    skip = exact(other.scale) / exact(y.scale);
    skip_reach = reach(other);
  }
  for (size_t c = 0; c < step.rescale.size(); ++c) {
    Rational unit = exact(x.scale);
    if (step.opcode == Opcode::conv) unit = unit * exact(step.weight_scales.values<float>()[c]);
    if (step.opcode == Opcode::mean) unit.q *= x.shape[1] * x.shape[2];
    const quant::Multiplier expected = asked_for(program.march, unit / exact(y.scale), skip, skip_reach);
    const quant::Multiplier& found = step.rescale[c];
    if (found == expected) continue;
    wrong += text("\n  ", y.name, ", channel ", c, ": ", found.m, " / 2^", found.shift, " and ", found.skip,
                  ", expected ", expected.m, " / 2^", expected.shift, " and ", expected.skip);
  }
  return wrong;
}

std::string check_scale(const Program& program, const Instruction& step) {
  const bool passes = step.opcode == Opcode::max_pool || step.opcode == Opcode::clamp || step.opcode == Opcode::reshape;
  const Value &x = program.values[step.inputs[0]], &y = program.values[step.output];
  if (!passes || x.scale == y.scale) return {};
  return text("\n  ", y.name, ": its scale is ", y.scale, ", expected that of ", x.name, ", ", x.scale);
}

// Windows over an image.
struct Windows {
  std::array<int64_t, 2> kernel, stride, padding, dilation;

  explicit Windows(const Instruction& step) {
    const Attributes a(step);
    kernel = step.opcode == Opcode::conv ? std::array{step.weight.size(1), step.weight.size(2)} : a.pair("kernel");
    stride = a.pair("stride");
    padding = a.pair("padding");
    dilation = a.pair("dilation");
  }
  // Where position k of the window of output o lies, along one axis.
  int64_t at(int axis, int64_t o, int64_t k) const { return o * stride[axis] - padding[axis] + k * dilation[axis]; }
};

// The accumulator of one output of a convolution.
int64_t convolved(const Instruction& step, const Windows& window, int64_t groups, const Plain& x, int64_t n, int64_t oy,
                  int64_t ox, int64_t o) {
  const int8_t* w = step.weight.data<int8_t>();
  const int64_t height = x.shape[1], width = x.shape[2], channels = x.shape[3];
  const int64_t per_group = step.weight.size(3), outputs = step.weight.size(0);
  const int64_t first = o / (outputs / groups) * per_group;
  int64_t sum = step.bias.data<int32_t>()[o];
  for (int64_t ky = 0; ky < window.kernel[0]; ++ky)
    for (int64_t kx = 0; kx < window.kernel[1]; ++kx) {
      const int64_t iy = window.at(0, oy, ky), ix = window.at(1, ox, kx);
      if (iy < 0 || iy >= height || ix < 0 || ix >= width) continue;
      for (int64_t i = 0; i < per_group; ++i)
        sum += x.values[((n * height + iy) * width + ix) * channels + first + i] *
               w[((o * window.kernel[0] + ky) * window.kernel[1] + kx) * per_group + i];
    }
  return sum;
}

int64_t largest(const Windows& window, const Plain& x, int64_t n, int64_t oy, int64_t ox, int64_t c) {
  int64_t best = INT64_MIN;
  for (int64_t ky = 0; ky < window.kernel[0]; ++ky)
    for (int64_t kx = 0; kx < window.kernel[1]; ++kx) {
      const int64_t iy = window.at(0, oy, ky), ix = window.at(1, ox, kx);
      if (iy >= 0 && iy < x.shape[1] && ix >= 0 && ix < x.shape[2])
        best = std::max(best, x.values[((n * x.shape[1] + iy) * x.shape[2] + ix) * x.shape[3] + c]);
    }
  return best;
}

Plain images(const Plain& x) {
  if (x.shape.rank() == 4) return x;
  return {{x.shape[0], 1, 1, x.shape[1]}, x.values, {}};
}

// Before rescaling: the accumulators, or, for what is not rescaled, the outputs.
Plain accumulated(const Instruction& step, const Plain& x, const Shape& shape) {
  Plain y{shape, std::vector<int64_t>(static_cast<size_t>(shape.elements())), {}};
  switch (step.opcode) {
    case Opcode::add:
    case Opcode::clamp:
    case Opcode::reshape:
      y.values = x.values;
      return y;
    case Opcode::mean: {
      const int64_t positions = x.shape[1] * x.shape[2], channels = x.shape[3];
      for (size_t i = 0; i < x.values.size(); ++i) {
        const auto at = static_cast<int64_t>(i);
        y.values[at / (positions * channels) * channels + at % channels] += x.values[i];
      }
      return y;
    }
    case Opcode::conv:
    case Opcode::max_pool:
      break;
    case Opcode::quantize:
    case Opcode::dequantize:
    case Opcode::cpu:
      fail("reference: ", to_string(step.opcode), " has no accumulators");
  }
  const Windows window(step);
  const int64_t groups = Attributes(step).get<int64_t>("groups", 1);
  const Plain image = images(x);
  const Shape out = shape.rank() == 4 ? shape : Shape{shape[0], 1, 1, shape[1]};
  size_t i = 0;
  for (int64_t n = 0; n < out[0]; ++n)
    for (int64_t oy = 0; oy < out[1]; ++oy)
      for (int64_t ox = 0; ox < out[2]; ++ox)
        for (int64_t c = 0; c < out[3]; ++c)
          y.values[i++] = step.opcode == Opcode::conv ? convolved(step, window, groups, image, n, oy, ox, c)
                                                      : largest(window, image, n, oy, ox, c);
  return y;
}

Plain quantized(const Tensor& x, const Value& value, bool half_up) {
  Plain q{x.shape(), {}, {}};
  for (const float v : x.values<float>()) q.values.push_back(quantized(v, value, half_up));
  return q;
}

// A float32 operation is the same one here: it has no integers to witness.
Tensor run_float(const Instruction& step, const std::vector<const Plain*>& in) {
  std::vector<Tensor> operands = step.constants;
  size_t next = 0;
  for (Tensor& operand : operands)
    if (!operand.defined()) operand = in[next++]->real;
  const NoGrad no_grad;
  const TrainingMode evaluation(false);
  return call_all(step.op, std::move(operands))[0];
}

Plain run(const Program& program, const Instruction& step, const std::vector<const Plain*>& in) {
  const bool half_up = program.march.rounding == quant::Rounding::half_up;
  const Value& value = program.values[step.output];
  const Shape shape = value.shape.with(0, in[0]->shape[0]);
  if (step.opcode == Opcode::cpu) return {shape, {}, run_float(step, in)};
  if (step.opcode == Opcode::quantize) return quantized(in[0]->real, value, half_up);
  if (step.opcode == Opcode::dequantize) {
    const int from = step.inputs[0];
    return {shape, {}, quant::dequantize(program, from, tensor_of(*in[0], program.values[from].dtype))};
  }
  Plain y = accumulated(step, *in[0], shape);
  if (value.dtype == DType::int32) {
    for (const int64_t acc : y.values)
      check(acc >= INT32_MIN && acc <= INT32_MAX, "reference: ", value.name, ": an accumulator is ", acc,
            ", which 32 bits do not hold");
    return y;
  }
  for (size_t i = 0; i < y.values.size(); ++i) {
    int64_t& v = y.values[i];
    if (!step.rescale.empty()) {
      const quant::Multiplier& r = step.rescale[i % step.rescale.size()];
      v = v * r.m + (in.size() == 2 ? in[1]->values[i] * r.skip : 0);
      v = rounded(v, r.shift, half_up);
    }
    v = std::clamp<int64_t>(v, value.low, value.high);
  }
  return y;
}

}  // namespace

Reference::Reference(Program program) : program_(std::move(program)) {
  check_program(program_);
  std::string wrong;
  for (const Instruction& step : program_.instructions)
    wrong += check_bounds(program_, step) + check_rescale(program_, step) + check_scale(program_, step);
  check(wrong.empty(), "reference: these integers are not what the scales ask for:", wrong);
}

std::vector<Tensor> Reference::inspect(std::span<const Tensor> x, const Inspector& inspector) const {
  check(x.size() == program_.inputs.size(), "reference: got ", x.size(), " inputs, expected ", program_.inputs.size());
  const bool half_up = program_.march.rounding == quant::Rounding::half_up;
  std::vector<Plain> values(program_.values.size());
  const auto show = [&](int index) {
    const Value& value = program_.values[index];
    if (inspector) inspector(value.name, tensor_of(values[index], value.dtype));
  };
  for (size_t i = 0; i < x.size(); ++i) {
    const Value& value = program_.values[program_.inputs[i]];
    check(x[i].shape() == value.shape.with(0, x[i].size(0)), "reference: ", value.name, " is ", x[i].shape(),
          ", expected ", value.shape, " with any first axis");
    values[program_.inputs[i]] = value.is_integer() ? quantized(x[i], value, half_up) : Plain{x[i].shape(), {}, x[i]};
    show(program_.inputs[i]);
  }
  for (const Instruction& step : program_.instructions) {
    std::vector<const Plain*> in;
    for (const int input : step.inputs) in.push_back(&values[input]);
    values[step.output] = run(program_, step, in);
    show(step.output);
  }
  std::vector<Tensor> results;
  for (const int output : program_.outputs)
    results.push_back(dequantize(program_, output, tensor_of(values[output], program_.values[output].dtype)));
  return results;
}

}  // namespace sinter::bpu
