#include "reference.h"

#include "witness/expected.h"
#include "witness/layer.h"

namespace sinter::bpu {

namespace {

using witness::Plain;

Tensor tensor_of(const Plain& plain, DType dtype) {
  if (dtype == DType::float32) return plain.real;
  if (dtype == DType::int16)
    return Tensor::from(plain.shape, std::vector<int16_t>(plain.values.begin(), plain.values.end()));
  if (dtype == DType::int8)
    return Tensor::from(plain.shape, std::vector<int8_t>(plain.values.begin(), plain.values.end()));
  return Tensor::from(plain.shape, std::vector<int32_t>(plain.values.begin(), plain.values.end()));
}

Plain quantized(const Tensor& x, const Value& value, bool half_up) {
  Plain q{x.shape(), {}};
  for (const float v : x.values<float>()) q.values.push_back(witness::quantized(v, value, half_up));
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
  const Shape shape = value.shape.with(0, witness::images(in));
  if (step.layer == quant::kCpu) return {shape, {}, run_float(step, in)};
  if (step.layer == quant::kQuantize) return quantized(in[0]->real, value, half_up);
  if (step.layer == quant::kDequantize) {
    const int from = step.inputs[0];
    return {shape, {}, quant::dequantize(program, from, tensor_of(*in[0], program.values[from].dtype))};
  }
  return witness::run_layer(program, step, in);
}

}  // namespace

Reference::Reference(Program program) : program_(std::move(program)) {
  check_program(program_);
  std::string wrong;
  for (const Instruction& step : program_.instructions) wrong += witness::wrong_integers(program_, step);
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
    if (step.layer == quant::kConstant) {
      values[step.output] = witness::plain(step.constants[0]);
      continue;
    }
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
