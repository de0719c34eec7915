#include "reference.h"

#include <algorithm>
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

// The multipliers that the scales ask for: those of the largest shift for which they and their terms stay small.
Rescale asked_for(const quant::March& march, const Rational& ratio, const Rational& skip_ratio, int64_t skip_reach) {
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
};

Tensor tensor_of(const Plain& plain, DType dtype) {
  if (dtype == DType::int8)
    return Tensor::from(plain.shape, std::vector<int8_t>(plain.values.begin(), plain.values.end()));
  return Tensor::from(plain.shape, std::vector<int32_t>(plain.values.begin(), plain.values.end()));
}

std::string check_bounds(const Program& program, const Instruction& step) {
  const Value& y = program.values[step.output];
  if (y.dtype == DType::int32) return {};
  int64_t low = -128, high = 127;
  if (step.opcode == Opcode::max_pool || step.opcode == Opcode::reshape) {
    low = program.values[step.inputs[0]].low;
    high = program.values[step.inputs[0]].high;
  }
  if (step.activation == "relu" || step.activation == "relu6") low = 0;
  if (step.activation == "relu6") {
    Value whole = y;
    whole.low = -128;
    whole.high = 127;
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
    const Rescale expected = asked_for(program.march, unit / exact(y.scale), skip, skip_reach);
    const Rescale& found = step.rescale[c];
    if (found == expected) continue;
    wrong += text("\n  ", y.name, ", channel ", c, ": ", found.multiplier, " / 2^", found.shift, " and ",
                  found.skip_multiplier, ", expected ", expected.multiplier, " / 2^", expected.shift, " and ",
                  expected.skip_multiplier);
  }
  return wrong;
}

std::string check_scale(const Program& program, const Instruction& step) {
  const bool passes = step.opcode == Opcode::max_pool || step.opcode == Opcode::clamp || step.opcode == Opcode::reshape;
  const Value &x = program.values[step.inputs[0]], &y = program.values[step.output];
  if (!passes || x.scale == y.scale) return {};
  return text("\n  ", y.name, ": its scale is ", y.scale, ", expected that of ", x.name, ", ", x.scale);
}

// The accumulator of one output of a convolution.
int64_t convolved(const Instruction& step, const Plain& x, int64_t n, int64_t oy, int64_t ox, int64_t o) {
  const int8_t* w = step.weight.data<int8_t>();
  const int64_t height = x.shape[1], width = x.shape[2], channels = x.shape[3];
  const int64_t per_group = step.weight.size(3), outputs = step.weight.size(0);
  const int64_t first = o / (outputs / step.groups) * per_group;
  int64_t sum = step.bias.data<int32_t>()[o];
  for (int64_t ky = 0; ky < step.kernel.h; ++ky)
    for (int64_t kx = 0; kx < step.kernel.w; ++kx) {
      const int64_t iy = oy * step.stride.h - step.padding.h + ky * step.dilation.h;
      const int64_t ix = ox * step.stride.w - step.padding.w + kx * step.dilation.w;
      if (iy < 0 || iy >= height || ix < 0 || ix >= width) continue;
      for (int64_t i = 0; i < per_group; ++i)
        sum += x.values[((n * height + iy) * width + ix) * channels + first + i] *
               w[((o * step.kernel.h + ky) * step.kernel.w + kx) * per_group + i];
    }
  return sum;
}

int64_t largest(const Instruction& step, const Plain& x, int64_t n, int64_t oy, int64_t ox, int64_t c) {
  int64_t best = -128;
  for (int64_t ky = 0; ky < step.kernel.h; ++ky)
    for (int64_t kx = 0; kx < step.kernel.w; ++kx) {
      const int64_t iy = oy * step.stride.h - step.padding.h + ky * step.dilation.h;
      const int64_t ix = ox * step.stride.w - step.padding.w + kx * step.dilation.w;
      if (iy >= 0 && iy < x.shape[1] && ix >= 0 && ix < x.shape[2])
        best = std::max(best, x.values[((n * x.shape[1] + iy) * x.shape[2] + ix) * x.shape[3] + c]);
    }
  return best;
}

Plain images(const Plain& x) {
  if (x.shape.rank() == 4) return x;
  return {{x.shape[0], 1, 1, x.shape[1]}, x.values};
}

// Before rescaling: the accumulators, or, for what is not rescaled, the outputs.
Plain accumulated(const Instruction& step, const Plain& x, const Shape& shape) {
  Plain y{shape, std::vector<int64_t>(static_cast<size_t>(shape.elements()))};
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
  }
  const Plain image = images(x);
  const Shape out = shape.rank() == 4 ? shape : Shape{shape[0], 1, 1, shape[1]};
  size_t i = 0;
  for (int64_t n = 0; n < out[0]; ++n)
    for (int64_t oy = 0; oy < out[1]; ++oy)
      for (int64_t ox = 0; ox < out[2]; ++ox)
        for (int64_t c = 0; c < out[3]; ++c)
          y.values[i++] =
              step.opcode == Opcode::conv ? convolved(step, image, n, oy, ox, c) : largest(step, image, n, oy, ox, c);
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
    Plain& q = values[program_.inputs[i]];
    q.shape = x[i].shape();
    for (const float v : x[i].values<float>()) q.values.push_back(quantized(v, value, half_up));
    show(program_.inputs[i]);
  }
  for (const Instruction& step : program_.instructions) {
    const Value& value = program_.values[step.output];
    const Plain& in = values[step.inputs[0]];
    Plain y = accumulated(step, in, value.shape.with(0, in.shape[0]));
    if (value.dtype == DType::int32) {
      for (const int64_t acc : y.values)
        check(acc >= INT32_MIN && acc <= INT32_MAX, "reference: ", value.name, ": an accumulator is ", acc,
              ", which 32 bits do not hold");
    } else {
      const Plain* skip = step.inputs.size() == 2 ? &values[step.inputs[1]] : nullptr;
      for (size_t i = 0; i < y.values.size(); ++i) {
        int64_t& v = y.values[i];
        if (!step.rescale.empty()) {
          const Rescale& r = step.rescale[i % step.rescale.size()];
          v = v * r.multiplier + (skip == nullptr ? 0 : skip->values[i] * r.skip_multiplier);
          v = rounded(v, r.shift, half_up);
        }
        v = std::clamp<int64_t>(v, value.low, value.high);
      }
    }
    values[step.output] = std::move(y);
    show(step.output);
  }
  std::vector<Tensor> results;
  for (const int output : program_.outputs)
    results.push_back(dequantize(program_, output, tensor_of(values[output], program_.values[output].dtype)));
  return results;
}

}  // namespace sinter::bpu
