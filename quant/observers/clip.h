#pragma once

#include <limits>

#include "../observer.h"

namespace sinter::quant {

/// "clip": minimum and maximum limited to [`min`, `max`], of which one may be left out; c = 1.
struct Clip final : Observer {
  double min = -std::numeric_limits<double>::infinity(), max = std::numeric_limits<double>::infinity();

  Range observe(const Samples& batch) override;
  double default_averaging_constant() const override { return 1; }
  void validate() const override;
};

}  // namespace sinter::quant
