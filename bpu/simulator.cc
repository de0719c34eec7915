#include "simulator.h"

#include "../core/op_work.h"
#include "../core/ops/conv2d_geometry.h"
#include "../core/ops/view.h"
#include "../quant/integer/conv.h"
#include "../quant/integer/max_pool.h"
#include "../quant/integer/values.h"
#include "../quant/ops/mean.h"

namespace sinter::bpu {

namespace {

// What an instruction needs besides its inputs, made once.
struct Step {
  quant::IntegerWeights weights;
  quant::Requantization requantize;
};

Shape as_image(const Shape& shape) { return shape.rank() == 4 ? shape : Shape{shape[0], 1, 1, shape[1]}; }

quant::Bounds bounds_of(const Value& value) { return {value.low, value.high}; }

void add_bias(const Instruction& step, Tensor& acc) {
  const auto bias = step.bias.values<int32_t>();
  const auto channels = static_cast<int64_t>(bias.size());
  auto* out = acc.mutable_data<int32_t>();
  for (int64_t i = 0; i < acc.elements(); ++i) out[i] += bias[i % channels];
}

}  // namespace

struct Simulator::Prepared {
  Program program;
  std::vector<Step> steps;
  std::vector<int> readers;  // of every value, the results included

  explicit Prepared(Program p) : program(std::move(p)), readers(program.values.size(), 0) {
    check_program(program);
    for (const Instruction& instruction : program.instructions) {
      Step& step = steps.emplace_back();
      const Value& y = program.values[instruction.output];
      for (const int input : instruction.inputs) ++readers[input];
      const auto channels = static_cast<size_t>(y.shape[-1]);
      if (instruction.opcode == Opcode::conv) {
        const Value& x = program.values[instruction.inputs[0]];
        step.weights = quant::integer_weights(instruction.weight, bounds_of(x), true, y.name.c_str());
        const auto bias = instruction.bias.values<int32_t>();
        step.requantize.bias.assign(bias.begin(), bias.end());
      } else {
        step.requantize.bias.assign(channels, 0);
      }
      for (size_t c = 0; c < channels && !instruction.rescale.empty(); ++c) {
        const Rescale& r = instruction.rescale[instruction.rescale.size() == 1 ? 0 : c];
        step.requantize.multipliers.push_back({r.multiplier, r.shift, r.skip_multiplier});
      }
      step.requantize.bounds = bounds_of(y);
      step.requantize.rounding = program.march.rounding;
    }
    for (const int output : program.outputs) ++readers[output];
  }

  Profiler::Work work(size_t i, const std::vector<Tensor>& values) const {
    const Instruction& instruction = program.instructions[i];
    const Value& y = program.values[instruction.output];
    Specs inputs;
    for (const int input : instruction.inputs) inputs.push_back(values[input].spec());
    const Specs output{{y.dtype, y.shape.with(0, inputs[0].shape[0])}};
    if (instruction.opcode == Opcode::conv) inputs.push_back(instruction.weight.spec());
    Profiler::Work work{.name = y.name,
                        .kind = Profiler::Kind::forward,
                        .call = sinter::detail::describe_call(to_string(instruction.opcode), inputs, output)};
    if (instruction.opcode == Opcode::reshape) return work;
    work.bytes = sinter::detail::bytes_of(inputs) + sinter::detail::bytes_of(output);
    if (instruction.opcode == Opcode::conv)
      work.flops = 2 * output[0].shape.elements() * (instruction.weight.elements() / instruction.weight.size(0));
    return work;
  }

  Tensor run(size_t i, const std::vector<Tensor>& values) const {
    const Profiler::Scope scope([&] { return work(i, values); });
    const Instruction& instruction = program.instructions[i];
    const Step& step = steps[i];
    const Value& value = program.values[instruction.output];
    const Tensor& x = values[instruction.inputs[0]];
    const Shape shape = value.shape.with(0, x.size(0));
    const Tensor skip = instruction.inputs.size() == 2 ? values[instruction.inputs[1]] : Tensor();
    Tensor acc;
    switch (instruction.opcode) {
      case Opcode::conv: {
        const Value& in = program.values[instruction.inputs[0]];
        const ConvAttributes attributes{instruction.stride, instruction.padding, instruction.dilation,
                                        instruction.groups};
        const auto geometry =
            ops::geometry(attributes, as_image(x.shape()), instruction.weight.shape(), as_image(shape));
        if (value.dtype == DType::int32) {
          acc = Tensor::empty(shape, DType::int32);
          quant::integer_convolution(geometry, x, bounds_of(in), step.weights, acc);
          add_bias(instruction, acc);
          return acc;
        }
        Tensor y = Tensor::empty(shape, DType::int8);
        quant::integer_layer(geometry, x, bounds_of(in), step.weights, skip, step.requantize, y);
        return y;
      }
      case Opcode::add:
        acc = x.to(DType::int32);
        break;
      case Opcode::mean:
        acc = quant::mean_accumulators(value.name, x, {}).acc;
        break;
      case Opcode::max_pool:
      case Opcode::clamp: {
        Tensor y = Tensor::empty(shape, DType::int8);
        if (instruction.opcode == Opcode::clamp)
          quant::clamp(x, bounds_of(value), y);
        else
          quant::integer_max_pool({instruction.kernel, instruction.stride, instruction.padding, instruction.dilation},
                                  x, y);
        return y;
      }
      case Opcode::reshape:
        return ops::view(x, shape);
    }
    Tensor y = Tensor::empty(shape, DType::int8);
    quant::requantize(acc, skip, step.requantize, y);
    return y;
  }
};

Simulator::Simulator(Program program) : prepared_(std::make_unique<const Prepared>(std::move(program))) {}
Simulator::Simulator(Simulator&&) noexcept = default;
Simulator& Simulator::operator=(Simulator&&) noexcept = default;
Simulator::~Simulator() = default;

const Program& Simulator::program() const { return prepared_->program; }

Tensor Simulator::operator()(const Tensor& x) const {
  check(program().outputs.size() == 1, "simulator: the program has ", program().outputs.size(),
        " outputs; call it with a list of inputs");
  return std::move(inspect({&x, 1}, nullptr)[0]);
}

std::vector<Tensor> Simulator::operator()(std::span<const Tensor> x) const { return inspect(x, nullptr); }

std::vector<Tensor> Simulator::inspect(std::span<const Tensor> x, const Inspector& inspector) const {
  const Program& p = program();
  check(x.size() == p.inputs.size(), "simulator: got ", x.size(), " inputs, expected ", p.inputs.size());
  std::vector<Tensor> values(p.values.size());
  std::vector<int> readers = prepared_->readers;
  const auto made = [&](int index, Tensor integers) {
    if (inspector) inspector(p.values[index].name, integers);
    if (readers[index] > 0) values[index] = std::move(integers);
  };
  for (size_t i = 0; i < x.size(); ++i) {
    const Value& value = p.values[p.inputs[i]];
    check(x[i].defined() && x[i].dtype() == DType::float32 && x[i].rank() == value.shape.rank() &&
              x[i].shape() == value.shape.with(0, x[i].size(0)),
          "simulator: ", value.name, " is ", x[i].defined() ? to_string(x[i].spec()) : "undefined",
          ", expected float32 ", value.shape, " with any first axis");
    Tensor integers = Tensor::empty(x[i].shape(), DType::int8);
    {
      const Profiler::Scope scope(value.name);
      quant::quantize(x[i], {&value.scale, 1}, bounds_of(value), p.march.rounding, integers);
    }
    made(p.inputs[i], std::move(integers));
  }
  for (size_t i = 0; i < p.instructions.size(); ++i) {
    const Instruction& instruction = p.instructions[i];
    made(instruction.output, prepared_->run(i, values));
    for (const int input : instruction.inputs)
      if (--readers[input] == 0) values[input] = {};
  }
  std::vector<Tensor> results;
  for (const int output : p.outputs) results.push_back(dequantize(p, output, values[output]));
  return results;
}

}  // namespace sinter::bpu
