#pragma once
// A layer's twin on integers, without a program around it: what is expected is worked out by hand.

#include "../../../bpu/witness/expected.h"
#include "../../support.h"

namespace sinter::test {

using Integers = std::vector<int64_t>;

/// A tensor of int8, or, with 16 bits, of int16.
struct TwinValue {
  Shape shape;
  double scale = 1;
  Integers q{};
  int bits = 8;
};

/// The output for inputs x by the integers that the twin asks for, within the bounds that it gives y. Scales are powers
/// of two, of which march nash has every ratio exactly.
inline Integers twin_of(quant::Instruction step, const std::vector<TwinValue>& x, const TwinValue& y,
                        const quant::Arithmetic& march = quant::March::nash) {
  bpu::Program program;
  program.march = march;
  std::vector<bpu::witness::Plain> plain;
  const auto add = [&](const TwinValue& v) {
    const quant::Bounds type = quant::type_bounds(v.bits);
    program.values.push_back({.name = "v",
                              .shape = v.shape.with(0, 1),
                              .dtype = v.bits > 8 ? DType::int16 : DType::int8,
                              .scale = static_cast<float>(v.scale),
                              .low = type.low,
                              .high = type.high,
                              .bits = v.bits});
    return static_cast<int>(program.values.size()) - 1;
  };
  for (const TwinValue& v : x) {
    step.inputs.push_back(add(v));
    plain.push_back({v.shape, v.q});
  }
  step.output = add(y);
  std::vector<const bpu::witness::Plain*> in;
  for (const auto& p : plain) in.push_back(&p);

  const bpu::witness::Site site{program, step};
  const auto& twin = bpu::witness::twin_of(step);
  step.rescale = twin.rescalings(site);
  int64_t low = program.values.back().low, high = program.values.back().high;
  twin.bound(site, low, high);
  program.values.back().low = static_cast<int32_t>(low);
  program.values.back().high = static_cast<int32_t>(high);
  return bpu::witness::run_layer(program, step, in).values;
}

/// An instruction of that layer with an operation.
template <class T>
quant::Instruction twin_step(const char* layer, const T& op) {
  quant::Instruction step;
  step.layer = layer;
  step.op = std::make_shared<const T>(op);
  return step;
}

}  // namespace sinter::test
