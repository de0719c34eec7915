#pragma once
// Private: an integer program as comparisons see it.

#include <memory>

#include "../program.h"
#include "stage.h"

namespace sinter::quant {

/// How a program runs; see Runner.
struct ProgramRun {
  using Inspector = std::function<void(const std::string& value, const Tensor& elements)>;
  std::function<std::vector<Tensor>(std::span<const Tensor> x, const Inspector& inspector)> all;
  std::function<void(const std::map<std::string, Tensor>& real, const Inspector& inspector)> alone;
};

/// Shows values under the names of the graph's nodes: neither the float32 copies of integers nor float32 values that
/// have integers, too. `program` outlives it.
std::unique_ptr<Stage> program_stage(std::string title, const IntegerProgram& program, ProgramRun run);

}  // namespace sinter::quant
