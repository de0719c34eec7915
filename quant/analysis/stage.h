#pragma once

#include <cstdint>
#include <functional>
#include <limits>
#include <map>
#include <span>
#include <string>
#include <vector>

#include "../../core/tensor.h"
#include "../contract.h"

namespace sinter::quant {

/// One activation of one stage, as real numbers.
struct StageValue {
  std::string node;
  Tensor values{};                    ///< float32 [N,...], channels last; it may be kept
  std::vector<std::string> inputs{};  ///< the nodes whose values it is made of
  float scale = 0;                    ///< values are integers times this; 0: they are float, or accumulators
  Bounds bounds{};                    ///< of those integers
  float ceiling = std::numeric_limits<float>::infinity();  ///< what the layer itself lets through: 6 after a ReLU6
  bool accumulators = false;                               ///< of a high-precision output: a scale for each channel
  bool input = false;                                      ///< of the network: no node makes it
  bool output = false;                                     ///< a result of the network
};

/// The weights of one node, as the stage computes with them.
struct StageWeight {
  std::string node;
  Tensor values{};              ///< float32 [O,...], input channels last; dequantised
  std::vector<float> scales{};  ///< one for each of the O output channels; empty: float
  std::vector<int32_t> bias{};  ///< on the accumulators' grid; empty: float
};

/// A network at one stage (float, calibrated, QAT, program) as comparisons see it. Two stages of one network give their
/// nodes the same names; derive from it to compare something else.
class Stage {
 public:
  using Show = std::function<void(const StageValue&)>;

  virtual ~Stage() = default;
  /// For reports: `float`, `quantised for bayes`.
  virtual std::string title() const = 0;
  /// Runs a batch, float32 [N,...] of every input, and shows every activation in the order of the graph, inputs first.
  /// Gives the network's outputs as real numbers. What an image gives does not depend on the rest of its batch.
  virtual std::vector<Tensor> run(std::span<const Tensor> x, const Show& show) const = 0;
  std::vector<Tensor> run(const Tensor& x, const Show& show) const { return run(std::span(&x, 1), show); }
  /// Runs every node alone on real values of its inputs, which are `given` by the name of the node that made them, and
  /// shows its output, in the order of the graph: its own error, without what it inherits. A stage of integers rounds
  /// its inputs first. Neither inputs of the network are shown nor nodes whose inputs are not all given.
  virtual void run_alone(const std::map<std::string, Tensor>& given, const Show& show) const = 0;
  /// Shows the weights of every node that has any.
  virtual void weights(const std::function<void(const StageWeight&)>& show) const = 0;
};

}  // namespace sinter::quant
