#include "runner.h"

#include <optional>

#include "../core/autograd.h"
#include "../core/op_work.h"
#include "../core/parallel.h"
#include "../core/repeated.h"
#include "fused_conv.h"
#include "integer/conv.h"
#include "integer/layers.h"
#include "integer/values.h"

namespace sinter::quant {

namespace {

const FusedConvAttributes& conv_of(const Instruction& instruction) {
  return static_cast<const FusedConv&>(*instruction.op).attributes;
}

// What a convolution needs besides its inputs, made once.
struct Step {
  IntegerWeights weights;
  std::optional<Requantizer> requantizer;
  std::optional<Dequantizer> dequantizer;  // instead, of a high-precision output
};

void add_bias(const Instruction& step, Tensor& acc) {
  const auto bias = step.bias.values<int32_t>();
  const Repeated<int32_t> repeated(bias.data(), static_cast<int64_t>(bias.size()));
  auto* out = acc.mutable_data<int32_t>();
  parallel_for(acc.elements(), 1 << 14, [&](int64_t begin, int64_t end) {
    repeated.each(begin, end, [&](int64_t at, int64_t count, const int32_t* beside) {
      for (int64_t i = 0; i < count; ++i) out[at + i] += beside[i];
    });
  });
}

}  // namespace

struct Runner::Prepared {
  IntegerProgram program;
  std::vector<Step> steps;
  std::vector<int> readers;  // of every value, the results included

  explicit Prepared(IntegerProgram p) : program(std::move(p)), readers(program.values.size(), 0) {
    const sinter::detail::OwnWrites own;
    for (const Instruction& instruction : program.instructions) {
      Step& step = steps.emplace_back();
      const Value& y = program.values[instruction.output];
      for (const int input : instruction.inputs) ++readers[input];
      if (instruction.opcode != Opcode::conv) continue;
      const Grid x = program.values[instruction.inputs[0]].grid();
      step.weights = integer_weights(instruction.weight, x, true, y.name.c_str(), as_columns(conv_of(instruction)));
      const auto bias = instruction.bias.values<int32_t>();
      if (y.dtype == DType::int32)
        step.dequantizer.emplace(std::vector<int32_t>(bias.begin(), bias.end()),
                                 accumulator_units(x.scale, instruction.weight_scales.values<float>()));
      else
        step.requantizer.emplace(*program.march.datapath,
                                 Rescalings{{bias.begin(), bias.end()}, instruction.rescale, y.grid().bounds});
    }
    for (const int output : program.outputs) ++readers[output];
  }

  Profiler::Work work(size_t i, const std::vector<Tensor>& x) const {
    const Instruction& instruction = program.instructions[i];
    const Value& y = program.values[instruction.output];
    Specs inputs;
    for (const Tensor& operand : x) inputs.push_back(operand.spec());
    const Specs output{{y.dtype, y.shape.with(0, inputs[0].shape[0])}};
    if (instruction.opcode == Opcode::conv) inputs.push_back(instruction.weight.spec());
    Profiler::Work work{.name = y.name,
                        .kind = Profiler::Kind::forward,
                        .call = sinter::detail::describe_call(to_string(instruction.opcode), inputs, output)};
    if (instruction.opcode == Opcode::reshape) return work;
    work.bytes = sinter::detail::bytes_of(inputs) + sinter::detail::bytes_of(output);
    if (instruction.opcode == Opcode::conv)
      work.flops =
          2 * convolution_macs(conv_of(instruction), x[0].shape(), instruction.weight.shape(), output[0].shape);
    return work;
  }

  // With `real`, accumulators become real numbers while they are in cache.
  Tensor convolve(size_t i, const std::vector<Tensor>& x, const Shape& shape, bool real) const {
    const Instruction& instruction = program.instructions[i];
    const Value& y = program.values[instruction.output];
    const Grid grid = program.values[instruction.inputs[0]].grid();
    const auto& attributes = conv_of(instruction);
    const auto c = geometry(attributes, x[0].shape(), instruction.weight.shape(), shape);
    const Tensor source = spread(attributes, x[0]);
    const bool head = y.dtype == DType::int32;
    Tensor result = Tensor::empty(shape, head && real ? DType::float32 : y.dtype);
    if (head && real) {
      integer_head(c, source, grid, steps[i].weights, *steps[i].dequantizer, result);
    } else if (head) {
      integer_convolution(c, source, grid, steps[i].weights, result);
      add_bias(instruction, result);
    } else {
      integer_layer(c, source, grid, steps[i].weights, x.size() == 2 ? x[1] : Tensor(), *steps[i].requantizer, result);
    }
    return result;
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
    const Shape shape = value.shape.with(0, x[0].size(0));
    switch (instruction.opcode) {
      case Opcode::conv:
        return convolve(i, x, shape, real);
      case Opcode::cpu:
        return run_float(instruction, x);
      case Opcode::quantize:
        return quantized(value, x[0]);
      case Opcode::dequantize:
        return dequantize(program, instruction.inputs[0], x[0]);
      default:
        return run_layer(instruction, x, shape, value.grid(), program.march);
    }
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
    std::vector<Tensor> operands;
    for (const int input : p.instructions[i].inputs) {
      const Value& value = p.values[input];
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
