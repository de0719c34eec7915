#include "expected.h"

#include <algorithm>
#include <cmath>

#include "layers.h"

namespace sinter::bpu::witness {

namespace {

bool half_up(const Program& program) { return program.march.rounding == quant::Rounding::half_up; }

// What limits an instruction's output besides its type: a ReLU or ReLU6 of its own.
std::string activation_of(const Instruction& step) {
  if (step.opcode == Opcode::clamp) return std::string(step.op->name());
  return step.opcode == Opcode::conv ? Attributes(step).get<std::string>("activation", "none") : "none";
}

// Whether the output is on the input's scale.
bool passes(Opcode opcode) {
  return opcode == Opcode::max_pool || opcode == Opcode::resize || opcode == Opcode::clamp || opcode == Opcode::move ||
         opcode == Opcode::reshape;
}

std::string wrong_bounds(const Program& program, const Instruction& step) {
  const Value& y = program.values[step.output];
  if (!y.is_integer()) return {};
  // Of the type; from 0 where narrow values are never negative; and one less below where both ends are to be alike.
  const int64_t half = int64_t{1} << (y.bits - 1);
  const bool from_zero = y.bits < 8 && y.low == 0;
  int64_t low = from_zero ? 0 : -half, high = from_zero ? 2 * half - 1 : half - 1;
  if (y.low == 1 - half) low = 1 - half;
  if (passes(step.opcode)) {
    const Value& x = program.values[step.inputs[0]];
    low = x.low;
    high = x.high;
    if (step.op->name() == "pad") {  // its border may be beyond what the image holds, but not beyond the type
      const bool from_zero_there = x.high >= half;
      Value type = x;
      type.low = static_cast<int32_t>(from_zero_there ? 0 : -half);
      type.high = static_cast<int32_t>(from_zero_there ? 2 * half - 1 : half - 1);
      const auto border = static_cast<float>(Attributes(step).get<double>("value", 0));
      low = std::min(low, quantized(border, type, half_up(program)));
      high = std::max(high, quantized(border, type, half_up(program)));
    }
  }
  const std::string activation = activation_of(step);
  if (activation == "relu" || activation == "relu6") low = 0;
  if (activation == "relu6") {
    Value whole = y;
    whole.low = static_cast<int32_t>(low);
    whole.high = static_cast<int32_t>(high);
    high = quantized(6.0f, whole, half_up(program));
  }
  if (y.low == low && y.high == high) return {};
  return text("\n  ", y.name, ": its bounds are ", y.low, "..", y.high, ", expected ", low, "..", high);
}

// By channel, window size or input, whatever the opcode has multipliers for.
std::vector<quant::Multiplier> multipliers_asked_for(const Program& program, const Instruction& step) {
  const Value &x = program.values[step.inputs[0]], &y = program.values[step.output];
  const auto scale = [&](size_t i) { return exact(program.values[step.inputs[i]].scale); };
  const Rational y_scale = exact(y.scale);
  std::vector<quant::Multiplier> all;
  const auto ask = [&](const Rational& ratio, const Rational& skip = {}, int64_t skip_reach = 0) {
    all.push_back(asked_for(program.march, ratio, skip, skip_reach));
  };
  switch (step.opcode) {
    case Opcode::conv: {
      const bool adds = step.inputs.size() == 2;
      for (const float w : step.weight_scales.values<float>())
        ask(scale(0) * exact(w) / y_scale, adds ? scale(1) / y_scale : Rational{},
            adds ? reach(program.values[step.inputs[1]]) : 0);
      break;
    }
    case Opcode::add: {  // the shift is that of the operand with the larger scale
      const size_t large = program.values[step.inputs[1]].scale > x.scale ? 1 : 0, small = 1 - large;
      ask(scale(large) / y_scale, scale(small) / y_scale, reach(program.values[step.inputs[small]]));
      quant::Multiplier& m = all[0];
      if (large == 1) m = {static_cast<int32_t>(m.skip), m.shift, m.m};
      if (step.op->name() == "sub") m.skip = -m.skip;
      break;
    }
    case Opcode::mul:
      ask(scale(0) * scale(1) / y_scale);
      break;
    case Opcode::mean:
    case Opcode::avg_pool: {
      std::vector<int64_t> counts{x.shape[1] * x.shape[2]};
      if (step.opcode == Opcode::avg_pool) counts = all_counts(step, x.shape, y.shape);
      for (const int64_t count : counts) {
        Rational ratio = scale(0) / y_scale;
        ratio.q *= count;
        ask(ratio);
      }
      break;
    }
    case Opcode::concat:
      for (size_t i = 0; i < step.inputs.size(); ++i) ask(scale(i) / y_scale);
      break;
    case Opcode::prelu:
      for (const float slope : step.constants[1].values<float>()) {
        ask(scale(0) / y_scale, scale(0) * exact(std::fabs(slope)) / y_scale, reach(x));
        if (slope < 0) all.back().skip = -all.back().skip;
      }
      break;
    default:
      break;
  }
  return all;
}

std::string wrong_multipliers(const Program& program, const Instruction& step) {
  const std::string& name = program.values[step.output].name;
  if (step.rescale.empty()) return {};  // accumulators, or nothing to rescale
  const std::vector<quant::Multiplier> expected = multipliers_asked_for(program, step);
  if (expected.size() != step.rescale.size())
    return text("\n  ", name, ": it has ", step.rescale.size(), " multipliers, expected ", expected.size());
  std::string wrong;
  for (size_t c = 0; c < expected.size(); ++c) {
    const quant::Multiplier &found = step.rescale[c], &wanted = expected[c];
    if (found == wanted) continue;
    wrong +=
        text("\n  ", name, step.opcode == Opcode::conv ? ", channel " : ", multiplier ", c, ": ", found.m, " / 2^",
             found.shift, " and ", found.skip, ", expected ", wanted.m, " / 2^", wanted.shift, " and ", wanted.skip);
  }
  return wrong;
}

std::string wrong_scale(const Program& program, const Instruction& step) {
  const Value &x = program.values[step.inputs[0]], &y = program.values[step.output];
  if (!passes(step.opcode) || x.scale == y.scale) return {};
  return text("\n  ", y.name, ": its scale is ", y.scale, ", expected that of ", x.name, ", ", x.scale);
}

std::string wrong_table(const Program& program, const Instruction& step) {
  if (step.opcode != Opcode::table) return {};
  const Value &x = program.values[step.inputs[0]], &y = program.values[step.output];
  const std::vector<int64_t> expected = table_of(step, x, y, half_up(program));
  const auto first = static_cast<int64_t>(expected.size() / 2);
  for (size_t i = 0; i < expected.size(); ++i) {
    const int64_t found = y.dtype == DType::int16 ? step.table.values<int16_t>()[i] : step.table.values<int8_t>()[i];
    if (found != expected[i])
      return text("\n  ", y.name, ": its table has ", found, " for ", static_cast<int64_t>(i) - first, ", expected ",
                  expected[i]);
  }
  return {};
}

}  // namespace

std::string wrong_integers(const Program& program, const Instruction& step) {
  return wrong_bounds(program, step) + wrong_multipliers(program, step) + wrong_scale(program, step) +
         wrong_table(program, step);
}

}  // namespace sinter::bpu::witness
