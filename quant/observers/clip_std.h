#pragma once

#include "../observer.h"

namespace sinter::quant {

/// "clip_std": minimum and maximum limited to mean +- `std_scale` standard deviations.
struct ClipStd final : Observer {
  double std_scale = 3;

  Range observe(const Samples& batch) override;
  void validate() const override;
};

}  // namespace sinter::quant
