#include "expected.h"

#include <algorithm>
#include <cmath>

#include "datapaths.h"
#include "layers.h"

namespace sinter::bpu::witness {

namespace {

bool half_up(const Program& program) { return program.march.rounding == quant::Rounding::half_up; }

// What limits an instruction's output besides its type: a ReLU or ReLU6 of its own.
std::string activation_of(const Instruction& step) {
  if (opcode_of(step) == Opcode::clamp) return std::string(step.op->name());
  return opcode_of(step) == Opcode::conv ? Attributes(step).get<std::string>("activation", "none") : "none";
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
  if (passes(opcode_of(step))) {
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

// By channel, window size or input, whatever the opcode has rescalings for.
std::vector<quant::Rescaling> rescalings_asked_for(const Program& program, const Instruction& step) {
  const Value &x = program.values[step.inputs[0]], &y = program.values[step.output];
  const Datapath datapath(program.march);
  const auto input = [&](size_t i) -> const Value& { return program.values[step.inputs[i]]; };
  const auto scale = [&](size_t i) { return exact(input(i).scale); };
  switch (opcode_of(step)) {
    case Opcode::conv: {
      std::vector<quant::Rescaling> all;
      for (const float w : step.weight_scales.values<float>()) {
        const Rational unit = scale(0) * exact(w);
        all.push_back(step.inputs.size() == 2 ? datapath.residual(unit, input(1), y) : datapath.accumulator(unit, y));
      }
      return all;
    }
    case Opcode::add:
      return {datapath.sum(scale(0), scale(1), step.op->name() == "sub", std::max(x.bits, input(1).bits), y)};
    case Opcode::mul:
      return {datapath.accumulator(scale(0) * scale(1), y)};
    case Opcode::mean:
      return {datapath.mean(scale(0), x.shape[1] * x.shape[2], y)};
    case Opcode::avg_pool: {
      std::vector<quant::Rescaling> all;
      for (const int64_t count : all_counts(step, x.shape, y.shape)) all.push_back(datapath.mean(scale(0), count, y));
      return all;
    }
    case Opcode::concat: {
      std::vector<quant::Rescaling> all;
      for (size_t i = 0; i < step.inputs.size(); ++i) all.push_back(datapath.narrow(input(i), y));
      return all;
    }
    case Opcode::prelu: {
      std::vector<quant::Rescaling> all;
      for (const float slope : step.constants[1].values<float>())
        all.push_back(datapath.sum(scale(0), scale(0) * exact(std::fabs(slope)), slope < 0, x.bits, y));
      return all;
    }
    default:
      return {};
  }
}

std::string wrong_rescalings(const Program& program, const Instruction& step) {
  const std::string& name = program.values[step.output].name;
  if (step.rescale.empty()) return {};  // accumulators, or nothing to rescale
  const std::vector<quant::Rescaling> expected = rescalings_asked_for(program, step);
  if (expected.size() != step.rescale.size())
    return text("\n  ", name, ": it has ", step.rescale.size(), " rescalings, expected ", expected.size());
  std::string wrong;
  for (size_t c = 0; c < expected.size(); ++c)
    if (!(step.rescale[c] == expected[c]))
      wrong += text("\n  ", name, opcode_of(step) == Opcode::conv ? ", channel " : ", rescaling ", c, ": ",
                    to_string(step.rescale[c]), ", expected ", to_string(expected[c]));
  return wrong;
}

std::string wrong_scale(const Program& program, const Instruction& step) {
  const Value &x = program.values[step.inputs[0]], &y = program.values[step.output];
  if (!passes(opcode_of(step)) || x.scale == y.scale) return {};
  return text("\n  ", y.name, ": its scale is ", y.scale, ", expected that of ", x.name, ", ", x.scale);
}

std::string wrong_table(const Program& program, const Instruction& step) {
  if (opcode_of(step) != Opcode::table) return {};
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
  return wrong_bounds(program, step) + wrong_rescalings(program, step) + wrong_scale(program, step) +
         wrong_table(program, step);
}

}  // namespace sinter::bpu::witness
