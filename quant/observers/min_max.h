#pragma once

#include "../observer.h"

namespace sinter::quant {

/// "min_max": the batch's minimum and maximum (PyTorch's MovingAverageMinMaxObserver, c = 0.01).
struct MinMax final : Observer {
  Range observe(const Samples& batch) override { return batch.range(); }
  bool full_range() const override { return true; }
};

}  // namespace sinter::quant
