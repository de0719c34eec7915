#pragma once

#include <cstdint>
#include <functional>
#include <limits>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "../../data/dataset.h"
#include "../../data/inputs.h"
#include "../../nn/evaluate.h"
#include "../prepare.h"

namespace sinter::quant {

/// What quantisation costs a network, as it is measured.
enum class Cost {
  noise,     ///< of the outputs against the float network's: sum (y - float)^2 / sum float^2
  loss,      ///< mean cross-entropy, or the loss that is given
  accuracy,  ///< percent
  metric,    ///< one of those that are given, by its name
};
std::string to_string(Cost cost);

/// How a network does with something of it quantised.
struct Outcome {
  double noise = 0;               ///< see Cost; relative to the float network
  double loss = 0, accuracy = 0;  ///< NaN for networks that are no classifiers, but for a loss that is given
  std::map<std::string, double> metrics{};
  /// -10 log10(noise), in dB; infinity without any noise.
  double sqnr() const;
};

/// What of a dataset a network reads, and how well it does.
struct Task {
  data::Inputs inputs{};  ///< what the network reads; several where it has several inputs
  nn::BatchLoss loss{};   ///< none: cross-entropy of the only output, logits [N,classes], and the labels
  nn::Metrics metrics{};  ///< measured of everything
  std::string metric{};   ///< by which of them, for Cost::metric; empty: the only number there is
  std::optional<bool> larger_is_better{};  ///< of it; none: false for names with "loss" or "error", else true
  std::function<data::Batch(std::vector<data::Sample>)> collate{};  ///< of the loader
};

struct SensitivityOptions {
  int64_t batch = 128;
  int64_t batches = 8;  ///< 0: the whole dataset
  uint64_t seed = 0;    ///< of the choice of images
  Task task{};
  Cost rank_by = Cost::noise;                              ///< nodes that cost the same, by noise
  std::function<void(const std::string& node)> on_node{};  ///< after a node was measured
};

struct NodeSensitivity {
  std::string node;  ///< or input of the network
  Outcome outcome{};
};

struct Sensitivity {
  Cost ranked_by = Cost::noise;
  std::string metric{};  ///< by which, of Cost::metric
  int64_t images = 0;
  Outcome in_float{}, quantized{};       ///< nothing, and everything quantised
  std::vector<NodeSensitivity> nodes{};  ///< the one that costs most first
};
/// A table.
std::string to_string(const Sensitivity& sensitivity);

/// Which nodes quantisation hurts: each is quantised alone, all others being float: its weights, its bias and its
/// output (or an input of the network) are rounded by the scales and to the integers that the model has. The noise of
/// nodes adds up, roughly, to that of the quantised network.
///
/// Call it on a calibrated model. Runs the images through the network once per node. Throws Error before any
/// calibration, for outputs that are not finite, for a ranking by loss or accuracy where the network gives no logits
/// [N,classes] for the labels (and no loss is given), and by a metric that there is not, or that is NaN in float.
Sensitivity sensitivity(const PreparedModel& model, const data::Dataset& dataset,
                        const SensitivityOptions& options = {});

}  // namespace sinter::quant
