#pragma once
// Private: a prepared model in float, some of whose tensors are on their grids.

#include <functional>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "../prepare.h"

namespace sinter::quant {

/// A calibrated model in float, of which any units can be quantised by the scales that VALIDATION has, to see what each
/// of them costs. A unit is an input of the network, or a node: its weights and its bias, where these are integers, and
/// its output, where that has a scale of its own or lies between integers (bilinear resizing, borders, the
/// limit of a ReLU6 on its own). Every rounding
/// of the model belongs to one unit; with all of them the values are those of VALIDATION, up to those that float
/// arithmetic rounds to the other side.
class PartlyQuantized {
 public:
  struct Unit {
    std::string name;
    Operand operand{};               ///< the input or the node
    std::optional<Grid> grid{};      ///< of its output
    Tensor weight{}, bias{};         ///< what their integers stand for, or undefined
    std::shared_ptr<const Op> op{};  ///< in place of the node's: one whose border or limit is rounded; or null
  };

  /// Of the model's scales and weights as they are now. Throws Error, starting with `what`, before any calibration.
  PartlyQuantized(const char* what, const PreparedModel& model);

  /// Inputs first, then nodes in the order of the graph.
  const std::vector<Unit>& units() const { return units_; }
  /// The network with some units quantised, by place; it shares its parameters with this. The nodes of units have their
  /// names; what they round to is made by `<name>.rounded`.
  Graph graph(const std::vector<bool>& quantized) const;
  /// The same, to be run.
  std::function<std::vector<Tensor>(std::span<const Tensor>)> forward(const std::vector<bool>& quantized) const;

  std::vector<bool> none() const { return std::vector<bool>(units_.size(), false); }
  std::vector<bool> all() const { return std::vector<bool>(units_.size(), true); }
  std::vector<bool> only(size_t unit) const;

 private:
  void quantize(Graph& graph, const Unit& unit) const;

  Graph float_;
  Rounding rounding_;
  std::vector<bool> in_float_;  // by node
  std::vector<Unit> units_;
};

}  // namespace sinter::quant
