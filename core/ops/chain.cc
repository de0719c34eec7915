#include "chain.h"

#include <algorithm>
#include <charconv>
#include <map>

#include "../autograd.h"
#include "../op_registry.h"
#include "arithmetic.h"

namespace sinter::ops {

bool Chain::is_step(const Op& op, size_t operands) {
  if (op.name() == "chain") return false;
  return operands == 1 ? dynamic_cast<const Pointwise*>(&op) != nullptr
                       : operands == 2 && dynamic_cast<const Arithmetic*>(&op) != nullptr;
}

Chain::Chain(std::vector<Step> steps) : steps_(std::move(steps)) {
  check(!steps_.empty(), "chain: there are no steps");
  for (size_t i = 0; i < steps_.size(); ++i) {
    const Step& step = steps_[i];
    check(step.op != nullptr && is_step(*step.op, step.operands.size()), "chain: step ", i, " is ",
          step.op == nullptr ? "nothing" : step.op->name(), " of ", step.operands.size(),
          " operands, expected a function of one value or arithmetic on two");
    for (const int64_t operand : step.operands)
      check(operand >= kNumber && operand < static_cast<int64_t>(i), "chain: step ", i, " reads ", operand,
            ", expected an earlier step, -1 (the input) or -2 (its number)");
    check(step.number == static_cast<double>(static_cast<float>(step.number)), "chain: the number of step ", i, ", ",
          step.number, ", is no float32");
  }
}

std::vector<Field> Chain::fields() const {
  std::vector<Field> all;
  for (size_t i = 0; i < steps_.size(); ++i) {
    const Step& step = steps_[i];
    const std::string prefix = std::to_string(i) + ".";
    all.push_back({prefix + "op", std::string(step.op->name())});
    all.push_back({prefix + "operands", step.operands});
    if (std::find(step.operands.begin(), step.operands.end(), kNumber) != step.operands.end())
      all.push_back({prefix + "number", step.number});
    for (Field& field : step.op->fields()) all.push_back({prefix + field.name, std::move(field.value)});
  }
  return all;
}

std::shared_ptr<const Op> Chain::from(std::span<const Field> fields) {
  struct Parts {
    std::string op{};
    Step step{};
    std::vector<Field> attributes{};
  };
  std::map<size_t, Parts> parts;
  for (const Field& field : fields) {
    const size_t dot = field.name.find('.');
    size_t index = 0;
    const char* end = field.name.data() + std::min(dot, field.name.size());
    check(dot != std::string::npos && std::from_chars(field.name.data(), end, index).ptr == end &&
              std::to_string(index) + "." == field.name.substr(0, dot + 1),
          "chain: '", field.name, "' is no attribute of a step");
    Parts& part = parts[index];
    const std::string name = field.name.substr(dot + 1);
    const Field own{name, field.value};
    if (name == "op")
      sinter::detail::assign_field({&own, 1}, name, part.op);
    else if (name == "operands")
      sinter::detail::assign_field({&own, 1}, name, part.step.operands);
    else if (name == "number")
      sinter::detail::assign_field({&own, 1}, name, part.step.number);
    else
      part.attributes.push_back(own);
  }
  std::vector<Step> steps;
  for (auto& [index, part] : parts) {
    check(index == steps.size(), "chain: there is no step ", steps.size());
    check(part.op != "chain", "chain: step ", index, " is another chain");
    part.step.op = make_op(part.op, part.attributes);
    steps.push_back(std::move(part.step));
  }
  return std::make_shared<const Chain>(std::move(steps));
}

Tensor Chain::run(const Tensor& x) const {
  std::vector<Tensor> results;
  for (const Step& step : steps_) {
    std::vector<Tensor> operands;
    for (const int64_t operand : step.operands)
      operands.push_back(operand == kInput    ? x
                         : operand == kNumber ? Tensor::full({}, step.number)
                                              : results[static_cast<size_t>(operand)]);
    results.push_back(call_all(step.op, std::move(operands))[0]);
  }
  return results.back();
}

void Chain::forward(Inputs x, Outputs y, Context& context) const {
  const sinter::detail::GradMode off(false);
  y[0].copy_from(run(x[0]));
  context.keep(x[0]);
}

// What the steps keep is made anew: a chain keeps its input alone.
void Chain::backward(const Context& context, Outputs dy, Gradients& dx) const {
  const sinter::detail::GradMode on(true);
  Tensor x = context.kept(0).detach();
  x.set_requires_grad(true);
  const Tensor y = run(x);
  if (!y.requires_grad()) return dx.set(0, Tensor::zeros(x.shape()));
  y.backward(dy[0]);
  dx.set(0, x.grad());
}

double Chain::at(double x) const {
  std::vector<double> results;
  for (const Step& step : steps_) {
    const auto value = [&](size_t i) {
      const int64_t operand = step.operands[i];
      return operand == kInput ? x : operand == kNumber ? step.number : results[static_cast<size_t>(operand)];
    };
    results.push_back(step.operands.size() == 1 ? dynamic_cast<const Pointwise&>(*step.op).at(value(0))
                                                : static_cast<const Arithmetic&>(*step.op).at(value(0), value(1)));
  }
  return results.back();
}

}  // namespace sinter::ops
