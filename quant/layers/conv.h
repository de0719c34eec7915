#pragma once
// Private: how accumulators become outputs, for the layer and for QAT.

#include "layer.h"

namespace sinter::quant {

/// How a convolution's accumulators, of these units by channel, become y, with a residual on the grid `skip` or without
/// one (null). Throws Error, naming the node, where the march's datapath has no integers for it.
std::vector<Rescaling> channel_rescalings(const std::string& node, const March& march, const std::vector<double>& unit,
                                          const Grid* skip, const Grid& y);

}  // namespace sinter::quant
