#include "simulator.h"

#include "../quant/runner.h"

namespace sinter::bpu {

struct Simulator::Prepared {
  Program program;
  quant::Runner runner;
};

Simulator::Simulator(Program program) {
  check_program(program);
  quant::Runner runner(program);
  prepared_ = std::make_unique<const Prepared>(Prepared{std::move(program), std::move(runner)});
}
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

std::vector<Tensor> Simulator::integers(std::span<const Tensor> x) const {
  const Program& p = program();
  std::vector<Tensor> result(p.outputs.size());
  inspect(x, [&](const std::string& name, const Tensor& integers) {
    for (size_t i = 0; i < result.size(); ++i)
      if (p.values[p.outputs[i]].name == name) result[i] = integers;
  });
  return result;
}

std::vector<Tensor> Simulator::inspect(std::span<const Tensor> x, const Inspector& inspector) const {
  const Program& p = program();
  check(x.size() == p.inputs.size(), "simulator: got ", x.size(), " inputs, expected ", p.inputs.size());
  for (size_t i = 0; i < x.size(); ++i) {
    const Value& value = p.values[p.inputs[i]];
    check(x[i].defined() && x[i].dtype() == DType::float32 && x[i].rank() == value.shape.rank() &&
              x[i].shape() == value.shape.with(0, x[i].size(0)),
          "simulator: ", value.name, " is ", x[i].defined() ? to_string(x[i].spec()) : "undefined",
          ", expected float32 ", value.shape, " with any first axis");
    check(x[i].size(0) == x[0].size(0), "simulator: ", value.name, " is ", x[i].size(0), " images, ",
          p.values[p.inputs[0]].name, " ", x[0].size(0), ", expected as many");
  }
  return prepared_->runner.run(x, inspector);
}

void Simulator::inspect_alone(const std::map<std::string, Tensor>& real, const Inspector& inspector) const {
  prepared_->runner.run_alone(real, inspector);
}

}  // namespace sinter::bpu
