#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "../../data/dataset.h"
#include "../../data/inputs.h"
#include "../../nn/metrics/metric.h"
#include "stage.h"

namespace sinter::quant {

/// How far the values y of a tensor in stage b are from those x in stage a, over all images.
struct Difference {
  double cosine = 1;      ///< sum xy / sqrt(sum x^2 sum y^2); 1 where both are zero, 0 where one is
  double noise = 0;       ///< sum (y - x)^2 / sum x^2
  double sqnr = 0;        ///< -10 log10(noise), in dB: infinity where nothing differs
  double max_error = 0;   ///< max |y - x| in units of b's scale (see NodeComparison::unit)
  double mean_error = 0;  ///< mean |y - x| likewise
  double shift = 0;       ///< share of the squared error that one constant for each channel would take away
  double saturated =
      0;  ///< share of b's integers at a bound that is not the activation's own: 0 of a ReLU, 6 of a ReLU6
  double clipping = 0;     ///< share of the squared error at those, where x lies more than a unit beyond y
  double used_levels = 0;  ///< share of the integers within b's bounds that occurred; 0 for float
};

/// How the values of one tensor are spread, over all images.
struct Spread {
  double min = 0, max = 0, mean = 0, rms = 0;
  int64_t channels = 0;
  int64_t dead_channels = 0;   ///< always zero
  int64_t widest_channel = 0;  ///< the one with the largest absolute value
  double channel_ratio =
      1;  ///< the largest absolute value of that one over that of the median channel that is not dead
  double reach() const { return -min > max ? -min : max; }
};

/// Counts of values in equal bins, the same for all three.
struct Histogram {
  double low = 0, width = 0;         ///< of the first bin
  std::vector<int64_t> a, b, alone;  ///< `alone`: b's nodes on a's values
};

/// One activation, or input of the network, that both stages have.
struct NodeComparison {
  std::string node;
  std::vector<std::string> inputs{};                         ///< the nodes whose values it is made of
  bool input = false, output = false, accumulators = false;  ///< see StageValue
  float scale = 0;                                           ///< of b, with its bounds; 0: float, or accumulators
  Bounds bounds{};
  /// What errors are counted in: b's scale or, where it has none, the scale that a's range would have in int8.
  double unit = 1;
  int64_t values = 0;  ///< compared
  /// With the inputs that each stage computed itself: its own error and what it inherited.
  Difference accumulated{};
  /// With identical inputs, a's: its own error. Of an input the same as `accumulated`; none where b cannot run the node
  /// alone.
  std::optional<Difference> local{};
  Spread a{}, b{};
  Histogram histogram{};

  /// Its own squared error as a share of the accumulated one, at most 1.
  double local_share() const;
};

/// The weights of one node.
struct WeightComparison {
  std::string node;
  double cosine = 1, noise = 0, sqnr = 0;  ///< as in Difference
  double output_ratio = 1;  ///< the largest absolute value of an output channel over that of the median one, in a
  double input_ratio = 1;   ///< the same for input channels
  int64_t output_channels = 0, dead_channels = 0;
  float scale_min = 0, scale_max = 0;  ///< of b's output channels; 0: float
  /// Output channels of b whose bias is near what 32 bits hold, so that their scale may have been raised.
  int64_t bias_limited = 0;
};

/// Two stages over a dataset. Nodes and weights are in the order of the graph.
struct Comparison {
  std::string a, b;  ///< titles
  int64_t images = 0;
  std::vector<NodeComparison> nodes{};
  std::vector<WeightComparison> weights{};
  std::vector<std::string> only_a{}, only_b{};             ///< activations that only one stage has
  std::map<std::string, double> metrics_a{}, metrics_b{};  ///< of the outputs, by name
};

struct CompareOptions {
  int64_t batch = 64;
  int64_t batches = 0;    ///< stop after so many; 0: the whole dataset
  data::Inputs inputs{};  ///< what the network reads; several where it has several inputs
  nn::Metrics metrics{};  ///< of both stages' outputs
  std::function<data::Batch(std::vector<data::Sample>)> collate{};  ///< of the loader
};

/// Runs both stages on the images of a dataset, and the nodes of b alone on the values of a. Sums are in double, image
/// by image: neither threads nor the batch size change them. Throws Error where a node has two shapes, or a value is
/// not finite.
Comparison compare(const Stage& a, const Stage& b, const data::Dataset& dataset, const CompareOptions& options = {});

}  // namespace sinter::quant
