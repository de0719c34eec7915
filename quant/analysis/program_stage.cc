#include "program_stage.h"

#include <algorithm>

#include "../../core/autograd.h"
#include "../fused_conv.h"
#include "../integer/values.h"
#include "../layers/layer.h"

namespace sinter::quant {

namespace {

float ceiling_of(const Instruction& step, float before) {
  return step.on_bpu() ? layer_named(step.layer).ceiling(step, before) : ceiling(Activation::none);
}

class ProgramStage final : public Stage {
 public:
  ProgramStage(std::string title, const IntegerProgram& program, ProgramRun run)
      : title_(std::move(title)), program_(program), run_(std::move(run)), values_(program.values.size()) {
    for (size_t i = 0; i < values_.size(); ++i) {
      const Value& from = program_.values[i];
      index_[from.name] = i;
      Form& value = values_[i];
      value.node = static_cast<int>(i);
      value.shown.accumulators = from.dtype == DType::int32;
      if (!from.is_integer()) continue;
      value.shown.scale = from.scale;
      value.shown.bounds = {from.low, from.high};
    }
    for (const int input : program_.inputs) values_[input].shown.input = true;
    for (const Instruction& step : program_.instructions) add(step);
    for (const int output : program_.outputs) {
      const Form& made = values_[values_[output].node];
      values_[made.integers < 0 ? values_[output].node : made.integers].shown.output = true;
    }
    for (Form& value : values_) value.shown.node = program_.values[value.node].name;
  }

  std::string title() const override { return title_; }

  std::vector<Tensor> run(std::span<const Tensor> x, const Show& show) const override {
    check(x.size() == program_.inputs.size(), title_, ": got ", x.size(), " inputs, expected ", program_.inputs.size());
    for (size_t i = 0; i < x.size(); ++i) {
      const Shape& expected = program_.values[program_.inputs[i]].shape;
      check(x[i].dtype() == DType::float32 && x[i].rank() == expected.rank() &&
                x[i].shape() == expected.with(0, x[i].size(0)),
            title_, ": got ", x[i].spec(), ", expected float32 ", expected, " with any first axis");
    }
    return run_.all(x, [&](const std::string& name, const Tensor& elements) {
      const size_t i = index_.at(name);
      if (is_shown(i)) show_value(i, dequantize(program_, static_cast<int>(i), elements), show);
    });
  }

  void run_alone(const std::map<std::string, Tensor>& given, const Show& show) const override {
    run_.alone(all_of(given), [&](const std::string& name, const Tensor& elements) {
      const size_t i = index_.at(name);
      const Form& value = values_[i];
      // What is only another form of a value has no error of its own but that of its rounding.
      if (value.node != static_cast<int>(i)) return;
      const Tensor real = dequantize(program_, static_cast<int>(i), elements);
      if (value.integers < 0)
        show_value(i, real, show);
      else
        show_value(value.integers, rounded(value.integers, real), show);
    });
  }

  void weights(const std::function<void(const StageWeight&)>& show) const override {
    for (const Instruction& step : program_.instructions) {
      if (!step.weight.defined()) continue;
      const auto integers = step.weight.values<int8_t>();
      const auto scales = step.weight_scales.values<float>();
      const auto bias = step.bias.values<int32_t>();
      const Shape& shape = step.weight.shape();
      const bool linear = static_cast<const FusedConv&>(*step.op).attributes.linear;
      Tensor weight = Tensor::empty(linear ? Shape{shape[0], shape[3]} : shape);
      float* out = sinter::detail::Access::write<float>(weight);
      const size_t each = integers.size() / scales.size();
      for (size_t i = 0; i < integers.size(); ++i) out[i] = static_cast<float>(integers[i]) * scales[i / each];
      show({.node = program_.values[step.output].name,
            .values = weight,
            .scales = {scales.begin(), scales.end()},
            .bias = {bias.begin(), bias.end()}});
    }
  }

 private:
  struct Form {
    StageValue shown{};  // without its values
    int node = 0;        // the value that it is another form of, or itself
    int integers = -1;   // of a float32 value that has them as well
  };

  void add(const Instruction& step) {
    Form& value = values_[step.output];
    if (step.layer == kQuantize || step.layer == kDequantize) {
      value.node = values_[step.inputs[0]].node;
      value.shown = {.node = "",
                     .inputs = values_[value.node].shown.inputs,
                     .scale = value.shown.scale,
                     .bounds = value.shown.bounds,
                     .input = values_[value.node].shown.input};
      if (step.layer == kQuantize) values_[value.node].integers = step.output;
      return;
    }
    if (step.layer == kConstant) return;  // no tensor of the network
    for (const int input : step.inputs)
      if (!is_constant(input)) value.shown.inputs.push_back(program_.values[values_[input].node].name);
    value.shown.ceiling = ceiling_of(step, values_[step.inputs[0]].shown.ceiling);
  }

  bool is_constant(int value) const {
    const Instruction* maker = program_.producer(value);
    return maker != nullptr && maker->layer == kConstant;
  }

  bool is_shown(size_t i) const {
    const Form& value = values_[i];
    return value.node == static_cast<int>(i) ? value.integers < 0 : values_[value.node].integers == static_cast<int>(i);
  }

  void show_value(size_t i, const Tensor& real, const Show& show) const {
    StageValue value = values_[i].shown;
    value.values = real;
    show(value);
  }

  Tensor rounded(size_t i, const Tensor& real) const {
    const Value& value = program_.values[i];
    Tensor integers = Tensor::empty(real.shape(), value.dtype);
    quantize(real, {&value.scale, 1}, value.grid().bounds, program_.march.rounding, integers);
    return dequantize(integers, value.scale);
  }

  // The given values in all their forms: float32 copies of integers are rounded as these are.
  std::map<std::string, Tensor> all_of(const std::map<std::string, Tensor>& given) const {
    std::map<std::string, Tensor> all = given;
    for (const Instruction& step : program_.instructions) {
      if (step.layer != kQuantize && step.layer != kDequantize) continue;
      const auto real = all.find(program_.values[step.inputs[0]].name);
      if (real == all.end()) continue;
      const bool round = step.layer == kDequantize && program_.values[step.inputs[0]].is_integer();
      all[program_.values[step.output].name] = round ? rounded(step.inputs[0], real->second) : real->second;
    }
    return all;
  }

  std::string title_;
  const IntegerProgram& program_;
  ProgramRun run_;
  std::vector<Form> values_;
  std::map<std::string, size_t> index_;
};

}  // namespace

std::unique_ptr<Stage> program_stage(std::string title, const IntegerProgram& program, ProgramRun run) {
  return std::make_unique<ProgramStage>(std::move(title), program, std::move(run));
}

}  // namespace sinter::quant
