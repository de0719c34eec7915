#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <string>
#include <vector>

#include "sensitivity.h"

namespace sinter::quant {

struct MixedPrecisionOptions {
  /// Of the network before anything is raised: its qconfig is the low precision, `get_default_qconfig` with dtype int4
  /// say. Nodes that by_path or a QuantStub configures stay as these say.
  PrepareOptions prepare{};
  QConfig high = get_default_qconfig();  ///< what nodes are raised to
  Task task{};
  /// What the network may lose against float: points of accuracy, an increase of the loss, or noise; or what a metric
  /// may be worse by.
  Cost target = Cost::accuracy;
  double allowed = 0.5;
  int64_t batch = 128;
  int64_t batches = 8;  ///< for calibration and for every measurement; 0: the whole dataset
  uint64_t seed = 0;    ///< of the choice of images
  std::function<void(const std::string& node, const Outcome& outcome)> on_raised{};
};

/// A node (the first of a layer's calls for all of them), or input, in the order of what raising it gains.
struct MixedNode {
  std::string name;
  double noise_low = 0, noise_high = 0;  ///< of the outputs, with this quantised alone
  bool raised = false;
  Outcome outcome{};     ///< of the network once this was raised
  std::string reason{};  ///< why it cannot be raised
};

struct MixedPrecision {
  /// For PrepareOptions: what was there, and `high` for the nodes that were raised.
  std::map<std::string, QConfig> by_path{};
  bool reached = false;  ///< else all that can be raised is, and it costs more than is allowed
  Cost target = Cost::accuracy;
  std::string metric{};  ///< which, of Cost::metric
  double allowed = 0;
  Outcome in_float{}, low{}, mixed{}, high{};   ///< nothing quantised, nothing raised, as by_path says, all raised
  double weight_bits = 0, activation_bits = 0;  ///< of all weights and activations (of one image), on average
  std::vector<MixedNode> nodes{};
};
/// A table.
std::string to_string(const MixedPrecision& report);

/// Chooses the nodes that need more bits: the network is calibrated in the low precision and in the high one; each node
/// is quantised alone in both (as `sensitivity` does), and nodes are raised in the order of the noise that this takes
/// away, until the network, in VALIDATION, costs no more than is allowed. A node's weights and its output are raised
/// together, and so are all calls of a layer, which have the same weights.
///
/// `dataset` has images of the training set: a test set would be fitted to. Throws Error where nothing could be
/// raised, and for a target that `sensitivity` could not rank by.
MixedPrecision mixed_precision(const nn::Module& net, const Tensor& example, const data::Dataset& dataset,
                               const MixedPrecisionOptions& options = {});
/// The same for several inputs, one example each.
MixedPrecision mixed_precision(const nn::Module& net, const std::vector<Tensor>& examples, const data::Dataset& dataset,
                               const MixedPrecisionOptions& options = {});

}  // namespace sinter::quant
