#pragma once
// Private: what the losses share.

#include <string>
#include <string_view>

#include "../../core/tensor.h"

namespace sinter::detail {

/// Throws Error unless both are float32 of one shape.
void check_pair(std::string_view loss, const Tensor& x, const Tensor& target);

/// Losses as they are ("none"), their sum ("sum"), or their mean ("mean"). Throws Error for another word.
Tensor reduced(std::string_view loss, const Tensor& losses, const std::string& reduction);

}  // namespace sinter::detail
