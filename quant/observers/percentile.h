#pragma once

#include "../observer.h"

namespace sinter::quant {

/// "percentile": a histogram of abs(x) over [0, max abs x]; the clip is the centre of the first bin whose cumulative
/// count reaches `percentile` per cent of the values, 100 per cent the maximum itself; minimum and maximum are limited
/// to
/// +-clip.
struct Percentile final : Observer {
  double percentile = 99.99;
  int64_t bins = 2048;

  Range observe(const Samples& batch) override;
  void validate() const override;
};

}  // namespace sinter::quant
