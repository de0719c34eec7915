#include "program.h"

#include "contract_inline.h"
#include "integer/values.h"

namespace sinter::quant {

std::string to_string(Opcode opcode) {
  constexpr const char* kNames[] = {"conv",  "add",   "mul",   "mean", "avg_pool", "max_pool", "resize",     "concat",
                                    "table", "prelu", "clamp", "move", "reshape",  "quantize", "dequantize", "cpu"};
  return kNames[static_cast<size_t>(opcode)];
}

const Instruction* IntegerProgram::producer(int value) const {
  for (const Instruction& step : instructions)
    if (step.output == value) return &step;
  return nullptr;
}

Tensor dequantize(const IntegerProgram& program, int value, const Tensor& integers) {
  const Value& v = program.values[value];
  if (v.dtype == DType::float32) return integers;
  if (v.is_integer()) return dequantize(integers, v.scale);
  const Instruction& head = *program.producer(value);
  const float x_scale = program.values[head.inputs[0]].scale;
  const auto scales = head.weight_scales.values<float>();
  const auto channels = static_cast<int64_t>(scales.size());
  const auto* acc = integers.data<int32_t>();
  Tensor result = Tensor::empty(integers.shape());
  float* out = result.mutable_data<float>();
  for (int64_t i = 0; i < integers.elements(); ++i) out[i] = inlined::dequantize(acc[i], x_scale, scales[i % channels]);
  return result;
}

}  // namespace sinter::quant
