#pragma once

#include "../observer.h"

namespace sinter::quant {

/// "mse": of 100 %, 99 %, ... 6 % of the batch's range the one whose integers, on the march's grid, are nearest to the
/// values, by the sum of squared errors; the widest on ties, so of all that become one scale there.
struct Mse final : Observer {
  Range observe(const Samples& batch) override;
};

}  // namespace sinter::quant
