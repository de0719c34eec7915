#include "simulator.h"

#include <algorithm>

#include "../core/autograd.h"
#include "../core/ops/conv2d_geometry.h"
#include "../core/parallel.h"
#include "../quant/integer/conv.h"
#include "../quant/integer/max_pool.h"
#include "../quant/ops/mean.h"

namespace sinter::bpu {

namespace {

constexpr int64_t kGrain = 1 << 15;

// What an instruction needs besides its inputs, made once.
struct Step {
  quant::IntegerWeights weights;
  quant::Requantization requantize;
};

Tensor under_shape(const Tensor& x, const Shape& shape) {
  return detail::Access::make(detail::Access::storage(x), {x.dtype(), shape});
}

Shape as_image(const Shape& shape) { return shape.rank() == 4 ? shape : Shape{shape[0], 1, 1, shape[1]}; }

Tensor quantize_image(const Tensor& x, const Value& value, quant::Rounding rounding) {
  Tensor result = Tensor::empty(x.shape(), DType::int8);
  const float* in = x.data<float>();
  auto* out = result.mutable_data<int8_t>();
  const float inverse = 1.0f / value.scale;
  const quant::Bounds bounds{value.low, value.high};
  parallel_for(x.elements(), kGrain, [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i)
      out[i] = static_cast<int8_t>(quant::quantize(in[i], inverse, bounds, rounding));
  });
  return result;
}

Tensor clamp(const Tensor& x, const Value& value) {
  Tensor result = Tensor::empty(x.shape(), DType::int8);
  const int8_t* in = x.data<int8_t>();
  auto* out = result.mutable_data<int8_t>();
  const auto low = static_cast<int8_t>(value.low), high = static_cast<int8_t>(value.high);
  parallel_for(x.elements(), kGrain, [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) out[i] = std::clamp(in[i], low, high);
  });
  return result;
}

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
        step.weights = quant::integer_weights(instruction.weight, {x.low, x.high}, true, y.name.c_str());
        const auto bias = instruction.bias.values<int32_t>();
        step.requantize.bias.assign(bias.begin(), bias.end());
      } else {
        step.requantize.bias.assign(channels, 0);
      }
      for (size_t c = 0; c < channels && !instruction.rescale.empty(); ++c) {
        const Rescale& r = instruction.rescale[instruction.rescale.size() == 1 ? 0 : c];
        step.requantize.multipliers.push_back({r.multiplier, r.shift, r.skip_multiplier});
      }
      step.requantize.bounds = {y.low, y.high};
      step.requantize.rounding = program.march.rounding;
    }
    for (const int output : program.outputs) ++readers[output];
  }

  Tensor run(size_t i, const std::vector<Tensor>& values) const {
    const Instruction& instruction = program.instructions[i];
    const Step& step = steps[i];
    const Value& value = program.values[instruction.output];
    const Tensor& x = values[instruction.inputs[0]];
    const Shape shape = value.shape.with(0, x.size(0));
    const Tensor skip = instruction.inputs.size() == 2 ? values[instruction.inputs[1]] : Tensor();
    Tensor acc;
    switch (instruction.opcode) {
      case Opcode::conv: {
        acc = Tensor::empty(shape, DType::int32);
        const Value& in = program.values[instruction.inputs[0]];
        const ConvAttributes attributes{instruction.stride, instruction.padding, instruction.dilation,
                                        instruction.groups};
        quant::integer_convolution(
            ops::geometry(attributes, as_image(x.shape()), instruction.weight.shape(), as_image(shape)), x,
            {in.low, in.high}, step.weights, acc);
        if (value.dtype == DType::int32) {
          add_bias(instruction, acc);
          return acc;
        }
        break;
      }
      case Opcode::add:
        acc = x.to(DType::int32);
        break;
      case Opcode::mean:
        acc = quant::mean_accumulators(value.name, x, {}).acc;
        break;
      case Opcode::max_pool: {
        Tensor y = Tensor::empty(shape, DType::int8);
        quant::integer_max_pool({.kernel_h = instruction.kernel.h,
                                 .kernel_w = instruction.kernel.w,
                                 .stride_h = instruction.stride.h,
                                 .stride_w = instruction.stride.w,
                                 .padding_h = instruction.padding.h,
                                 .padding_w = instruction.padding.w,
                                 .dilation_h = instruction.dilation.h,
                                 .dilation_w = instruction.dilation.w},
                                x, y);
        return y;
      }
      case Opcode::clamp:
        return clamp(x, value);
      case Opcode::reshape:
        return under_shape(x, shape);
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
    made(p.inputs[i], quantize_image(x[i], value, p.march.rounding));
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
