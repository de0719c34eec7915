#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "../../data/dataset.h"
#include "../../data/inputs.h"
#include "../prepare.h"

namespace sinter::quant {

struct AdaRoundOptions {
  int64_t batch = 128;
  int64_t batches = 8;  ///< 0: the whole dataset; what a layer reads and makes of all these images is held in memory
  uint64_t seed = 0;    ///< of the choice of images, and of those of each step
  int64_t iterations = 500;  ///< of each layer
  int64_t images = 32;       ///< of each iteration
  double lr = 0.02;
  double regularization = 0.01;  ///< weight of what drives roundings to up or down; lambda in the paper
  double beta_start = 20, beta_end = 2;
  double warm_up = 0.2;   ///< share of the iterations without it
  data::Inputs inputs{};  ///< what the network reads; several where it has several inputs
  std::function<data::Batch(std::vector<data::Sample>)> collate{};  ///< of the loader
  std::function<void(const std::string& layer)> on_layer{};         ///< after a layer was rounded
};

/// What learned rounding did to a layer. Errors are those of the layer's output, after addition and activation, on its
/// quantised inputs: squared, in comparison with the float network's output.
struct RoundedLayer {
  std::string name;
  int64_t weights = 0, changed = 0;  ///< all, and those that are not rounded to the nearest
  double nearest_error = 0, error = 0;
  std::string skipped{};  ///< why it stays as it was; empty where it does not
};
/// A table.
std::string to_string(const std::vector<RoundedLayer>& report);

/// AdaRound (Nagel et al., 2004.10568): learns for every weight of a convolution or linear layer whether it is rounded
/// up or down, in the graph's order. With the layer's inputs from the quantised network, whose earlier layers are
/// rounded already, it minimises ||float output - output||^2 (equation 25, here relative to the float output's mean
/// square and summed over channels) + lambda sum 1 - |2 h - 1|^beta, where a weight is s clip(floor(w / s) + h) and h =
/// clip(1.2 sigmoid(v) - 0.1, 0, 1), by Adam, with beta falling from beta_start to beta_end. Where the nearest integers
/// do better over all images, these stay.
///
/// The weights become integers times their scales, which are frozen (WeightQuantizer::freeze), so that VALIDATION and
/// the compiler have exactly the integers that were learned; activations are not changed.
///
/// Call it on a calibrated model, batch normalisation folded, in place of correct_bias: what that leaves
/// would be taken for the float network, and the shifts of its biases for what is to be fitted. Layers that are called
/// several times stay as they are. Throws Error before any calibration; an exception, of on_layer and of the dataset as
/// well, leaves the model as it was.
std::vector<RoundedLayer> adaround(PreparedModel& model, const data::Dataset& dataset,
                                   const AdaRoundOptions& options = {});

}  // namespace sinter::quant
