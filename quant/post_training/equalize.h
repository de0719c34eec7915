#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "../prepare.h"

namespace sinter::quant {

struct EqualizeOptions {
  int64_t iterations = 100;  ///< at most so many passes over the network
  double tolerance = 1e-3;   ///< the last pass changes no channel by a larger fraction
  /// Turns every ReLU6 into a ReLU first: through a ReLU6 nothing can be equalised. The network is another function
  /// then, where values were above 6.
  bool replace_relu6 = false;
};

/// How far a layer's channels are apart: the largest range over the smallest, ranges being those of the weights,
/// channels of zeros left out.
struct EqualizedLayer {
  std::string name;
  double output_ratio_before = 1, output_ratio = 1;  ///< of the channels that it makes
  double input_ratio_before = 1, input_ratio = 1;    ///< of the channels that it reads
  int64_t outputs = 0, scaled = 0;                   ///< channels that it makes, and those that were scaled
  std::string skipped{};                             ///< why channels that it makes were not scaled
};

struct EqualizeReport {
  std::vector<EqualizedLayer> layers;       ///< in the graph's order
  std::vector<std::string> replaced_relu6;  ///< nodes whose ReLU6 became a ReLU
  int64_t iterations = 0;
  bool converged = true;
};
/// A table.
std::string to_string(const EqualizeReport& report);

/// Cross-layer equalisation (Nagel et al., 1906.04721, section 4.1): rescales channels between layers so that their
/// ranges agree, for one scale a tensor to serve all of them; the float function stays the same up to rounding.
///
/// A channel is divided by s = sqrt(r1 r2) / r2, r1 being the range (largest magnitude) of the weights that make it and
/// r2 of those that read it; biases are divided as well. This is repeated until no channel changes. Channels that are
/// added to each other have one s, r1 being the largest range of the layers that make them and r2 of those that read
/// them, so that residual networks are equalised as well. A bias more than 64 times as large as the weights that make
/// its channel counts in their place, as a weight of a 64th of it: by its weights alone, a nearly dead channel would be
/// made to fill its tensor's whole range.
///
/// What must not be scaled stays: the network's inputs and outputs, what meets a ReLU6 or another operation that does
/// not scale with its input, tensors with a fixed scale or a clip, what layers with such weights make and read, and
/// channels that nothing makes or nothing reads, all weights being zero.
///
/// Call it on a freshly prepared model, then calibrate. Throws Error where activations were observed already, as their
/// ranges would be of another network, and for weights that are not finite.
EqualizeReport equalize(PreparedModel& model, const EqualizeOptions& options = {});

}  // namespace sinter::quant
