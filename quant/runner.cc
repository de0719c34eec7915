#include "runner.h"

#include <algorithm>

#include "../core/autograd.h"
#include "../core/op_work.h"
#include "integer/values.h"
#include "layers/layer.h"

namespace sinter::quant {

struct Runner::Prepared {
  struct Step {
    const Layer* layer = nullptr;  // none: on the CPU
    std::unique_ptr<const PreparedLayer> prepared;
  };
  IntegerProgram program;
  std::vector<Step> steps;
  std::vector<int> readers;  // of every value, the results included

  explicit Prepared(IntegerProgram p) : program(std::move(p)), readers(program.values.size(), 0) {
    const sinter::detail::OwnWrites own;
    for (const Instruction& instruction : program.instructions) {
      for (const int input : instruction.inputs) ++readers[input];
      Step& step = steps.emplace_back();
      if (!instruction.on_bpu()) continue;
      step.layer = &layer_named(instruction.layer);
      step.prepared = step.layer->prepare(program, instruction);
    }
    for (const int output : program.outputs) ++readers[output];
  }

  Profiler::Work work(size_t i, const std::vector<Tensor>& x) const {
    const Instruction& instruction = program.instructions[i];
    const Value& y = program.values[instruction.output];
    Specs inputs;
    for (const Tensor& operand : x) inputs.push_back(operand.spec());
    int64_t images = 1;
    for (const Spec& input : inputs)
      if (input.shape[0] != 1) images = input.shape[0];
    const Shape shape = y.shape.with(0, images);
    const Specs output{{y.dtype, shape}};
    if (instruction.weight.defined()) inputs.push_back(instruction.weight.spec());
    Profiler::Work work{.name = y.name,
                        .kind = Profiler::Kind::forward,
                        .call = sinter::detail::describe_call(instruction.layer, inputs, output)};
    if (steps[i].layer != nullptr && instruction.op->aliasing() == Aliasing::view) return work;
    work.bytes = sinter::detail::bytes_of(inputs) + sinter::detail::bytes_of(output);
    if (steps[i].layer != nullptr) work.flops = 2 * steps[i].layer->macs(instruction, inputs[0].shape, shape);
    return work;
  }

  // A float32 operation, of whose operands some are constants.
  static Tensor run_float(const Instruction& instruction, const std::vector<Tensor>& x) {
    std::vector<Tensor> operands = instruction.constants;
    size_t next = 0;
    for (Tensor& operand : operands)
      if (!operand.defined()) operand = x[next++];
    const NoGrad no_grad;
    const TrainingMode evaluation(false);
    return call_all(instruction.op, std::move(operands))[0];
  }

  Tensor run(size_t i, const std::vector<Tensor>& x, bool real = false) const {
    const Profiler::Scope scope([&] { return work(i, x); });
    const Instruction& instruction = program.instructions[i];
    const Value& value = program.values[instruction.output];
    int64_t images = 1;  // of constants
    for (const Tensor& operand : x)
      if (operand.size(0) != 1) images = operand.size(0);
    const Shape shape = value.shape.with(0, images);
    if (const Layer* layer = steps[i].layer)
      return steps[i].prepared != nullptr ? steps[i].prepared->run(x, shape, real)
                                          : layer->output({instruction, x, shape, value.grid(), program.march});
    if (instruction.layer == kCpu) return run_float(instruction, x);
    return instruction.layer == kQuantize ? quantized(value, x[0]) : dequantize(program, instruction.inputs[0], x[0]);
  }

  Tensor quantized(const Value& value, const Tensor& x) const {
    Tensor integers = Tensor::empty(x.shape(), value.dtype);
    quantize(x, {&value.scale, 1}, value.grid().bounds, program.march.rounding, integers);
    return integers;
  }
};

Runner::Runner(IntegerProgram program) : prepared_(std::make_unique<const Prepared>(std::move(program))) {}
Runner::Runner(Runner&&) noexcept = default;
Runner& Runner::operator=(Runner&&) noexcept = default;
Runner::~Runner() = default;

const IntegerProgram& Runner::program() const { return prepared_->program; }

std::vector<Tensor> Runner::run(std::span<const Tensor> x, const Inspector& inspector) const {
  const IntegerProgram& p = program();
  std::vector<Tensor> values(p.values.size());
  std::vector<int> readers = prepared_->readers;
  const auto made = [&](int index, Tensor elements) {
    if (inspector) inspector(p.values[index].name, elements);
    if (readers[index] > 0) values[index] = std::move(elements);
  };
  for (size_t i = 0; i < x.size(); ++i) {
    const Value& value = p.values[p.inputs[i]];
    if (!value.is_integer()) {
      made(p.inputs[i], x[i].detach());
      continue;
    }
    const Profiler::Scope scope(value.name);
    made(p.inputs[i], prepared_->quantized(value, x[i]));
  }
  for (size_t i = 0; i < p.instructions.size(); ++i) {
    const Instruction& instruction = p.instructions[i];
    if (instruction.layer == kConstant) {
      values[instruction.output] = instruction.constants[0];
      continue;
    }
    std::vector<Tensor> operands;
    for (const int input : instruction.inputs) operands.push_back(values[input]);
    made(instruction.output, prepared_->run(i, operands, !inspector));  // who inspects sees accumulators
    operands.clear();
    for (const int input : instruction.inputs)
      if (--readers[input] == 0) values[input] = {};
  }
  std::vector<Tensor> results;
  for (const int output : p.outputs) results.push_back(dequantize(p, output, values[output]));
  return results;
}

void Runner::run_alone(const std::map<std::string, Tensor>& real, const Inspector& inspector) const {
  const IntegerProgram& p = program();
  for (size_t i = 0; i < p.instructions.size(); ++i) {
    if (p.instructions[i].layer == kConstant) continue;
    std::vector<Tensor> operands;
    for (const int input : p.instructions[i].inputs) {
      const Value& value = p.values[input];
      if (const Instruction* maker = p.producer(input); maker != nullptr && maker->layer == kConstant) {
        operands.push_back(maker->constants[0]);
        continue;
      }
      const auto found = real.find(value.name);
      if (found == real.end() || value.dtype == DType::int32) break;
      const Tensor& given = found->second;
      check(given.dtype() == DType::float32 && given.rank() == value.shape.rank() &&
                given.shape() == value.shape.with(0, operands.empty() ? given.size(0) : operands[0].size(0)),
            "inspect_alone: ", value.name, " is ", given.spec(), ", expected float32 ", value.shape,
            " with the same first axis for all");
      operands.push_back(value.is_integer() ? prepared_->quantized(value, found->second) : found->second);
    }
    if (operands.size() == p.instructions[i].inputs.size())
      inspector(p.values[p.instructions[i].output].name, prepared_->run(i, operands));
  }
}

}  // namespace sinter::quant
