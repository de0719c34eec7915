#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "../../data/dataset.h"
#include "../../data/inputs.h"
#include "../prepare.h"

namespace sinter::quant {

struct CorrectBiasOptions {
  int64_t batch = 128;
  int64_t batches = 8;    ///< 0: the whole dataset
  uint64_t seed = 0;      ///< of the choice of images
  data::Inputs inputs{};  ///< what the network reads; several where it has several inputs
  std::function<data::Batch(std::vector<data::Sample>)> collate{};  ///< of the loader
  std::function<void(const std::string& layer)> on_layer{};         ///< after a layer was corrected
};

/// What quantisation did to a layer's values before their activation, and before what is added to them: root mean
/// squares over its channels of E[quantised - float] and of E[float^2]^(1/2).
struct CorrectedLayer {
  std::string name;
  double shift = 0;      ///< taken off the biases
  double magnitude = 0;  ///< of the float values
};
/// A table.
std::string to_string(const std::vector<CorrectedLayer>& report);

/// Empirical bias correction (Nagel et al., 1906.04721, section 4.2 and appendix D): rounded weights and activations
/// shift the means of a layer's channels, which its bias takes back. In the graph's order, for every convolution and
/// linear layer: bias[c] -= E[quantised[c]] - E[float[c]], over the same images and all positions, the values being
/// those before the activation; the quantised ones are of the network whose earlier layers are corrected already.
/// Layers that are called several times stay as they are, having one bias for several shifts; the report leaves them
/// out.
///
/// Call it once, on a calibrated model: the float network of the reference is that of the biases which
/// it changes. Runs the images through the quantised network once per layer. Throws Error before any calibration,
/// for weights with frozen scales (adaround's roundings fit the outputs already) and for means that are not finite; an
/// exception, of on_layer and of the dataset as well, leaves the biases as they were.
std::vector<CorrectedLayer> correct_bias(PreparedModel& model, const data::Dataset& dataset,
                                         const CorrectBiasOptions& options = {});

}  // namespace sinter::quant
