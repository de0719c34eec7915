#include "stage.h"

#include "../quant/analysis/program_stage.h"

namespace sinter::bpu {

std::unique_ptr<quant::Stage> program_stage(const Simulator& simulator) {
  const auto all = [&simulator](std::span<const Tensor> x, const Simulator::Inspector& inspector) {
    return simulator.inspect(x, inspector);
  };
  const auto alone = [&simulator](const std::map<std::string, Tensor>& real, const Simulator::Inspector& inspector) {
    simulator.inspect_alone(real, inspector);
  };
  return quant::program_stage(text("program for ", brief(simulator.program().march)), simulator.program(),
                              {all, alone});
}

}  // namespace sinter::bpu
