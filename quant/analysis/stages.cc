#include "stages.h"

#include "../fused_conv.h"
#include "../lower.h"
#include "../runner.h"
#include "program_stage.h"

namespace sinter::quant {

namespace {

class FloatStage final : public Stage {
 public:
  explicit FloatStage(const PreparedModel& model) : model_(model) {}

  std::string title() const override { return "float"; }

  std::vector<Tensor> run(std::span<const Tensor> x, const Show& show) const override {
    check(x.size() == graph().inputs.size(), title(), ": got ", x.size(), " inputs, expected ", graph().inputs.size());
    const NoGrad no_grad;
    const TrainingMode evaluation(false);
    for (size_t i = 0; i < x.size(); ++i)
      show({.node = model_.input_name(i), .values = x[i], .input = true, .output = is_output(Operand::Kind::input, i)});
    return graph().run({x.begin(), x.end()}, [&](size_t node, const std::vector<Tensor>& outputs) {
      StageValue value = node_value(node);
      value.values = outputs[0];
      show(value);
    });
  }

  void run_alone(const std::map<std::string, Tensor>& given, const Show& show) const override {
    const NoGrad no_grad;
    const TrainingMode evaluation(false);
    for (size_t i = 0; i < graph().nodes.size(); ++i) {
      const Node& node = graph().nodes[i];
      std::vector<Tensor> operands;
      for (const Operand& operand : node.inputs) {
        if (operand.is_activation()) {
          const auto found = given.find(name_of(operand));
          if (found == given.end()) break;
          operands.push_back(found->second);
        } else if (operand.kind == Operand::Kind::parameter) {
          operands.push_back(graph().parameters[operand.index].value);
        } else {
          operands.push_back(graph().constants[operand.index]);
        }
      }
      if (operands.size() < node.inputs.size()) continue;
      StageValue value = node_value(i);
      value.values = call_all(node.op, std::move(operands))[0];
      show(value);
    }
  }

  void weights(const std::function<void(const StageWeight&)>& show) const override {
    for (const Node& node : graph().nodes)
      if (fused_conv(node) != nullptr) show({.node = node.name, .values = folded_weights(graph(), node).weight});
  }

 private:
  const Graph& graph() const { return model_.graph(); }

  const std::string& name_of(const Operand& operand) const {
    return operand.kind == Operand::Kind::input ? model_.input_name(operand.index) : graph().nodes[operand.index].name;
  }

  bool is_output(Operand::Kind kind, size_t index) const {
    for (const Operand& operand : graph().outputs)
      if (operand.kind == kind && operand.index == static_cast<int>(index)) return true;
    return false;
  }

  StageValue node_value(size_t i) const {
    StageValue value{.node = graph().nodes[i].name, .output = is_output(Operand::Kind::node, i)};
    for (const Operand& operand : graph().nodes[i].inputs)
      if (operand.is_activation()) value.inputs.push_back(name_of(operand));
    return value;
  }

  const PreparedModel& model_;
};

}  // namespace

std::unique_ptr<Stage> float_stage(const PreparedModel& model) { return std::make_unique<FloatStage>(model); }

std::unique_ptr<Stage> quantised_stage(const PreparedModel& model) {
  model.check_observed("quantised_stage");
  const auto runner = std::make_shared<const Runner>(lower(model));
  const auto all = [runner](std::span<const Tensor> x, const Runner::Inspector& inspector) {
    return runner->run(x, inspector);
  };
  const auto alone = [runner](const std::map<std::string, Tensor>& real, const Runner::Inspector& inspector) {
    runner->run_alone(real, inspector);
  };
  return program_stage(text("quantised for ", model.march()), runner->program(), {all, alone});
}

}  // namespace sinter::quant
