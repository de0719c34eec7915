#include "program.h"

#include "integer/requantize.h"
#include "integer/values.h"

namespace sinter::quant {

const Instruction* IntegerProgram::producer(int value) const {
  for (const Instruction& step : instructions)
    if (step.output == value) return &step;
  return nullptr;
}

Tensor dequantize(const IntegerProgram& program, int value, const Tensor& integers) {
  const Value& v = program.values[value];
  if (v.dtype == DType::float32) return integers;
  if (v.is_integer()) return dequantize(integers, v.scale);
  if (integers.dtype() == DType::float32) return integers;  // where the convolution went on to real numbers
  const Instruction& head = *program.producer(value);
  const std::vector<double> units =
      accumulator_units(program.values[head.inputs[0]].scale, head.weight_scales.values<float>());
  Tensor result = Tensor::empty(integers.shape());
  Dequantizer(std::vector<int32_t>(units.size(), 0), units).all(integers, result);
  return result;
}

}  // namespace sinter::quant
