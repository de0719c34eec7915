#pragma once

#include "../observer.h"

namespace sinter::quant {

/// "fixed_scale": the scale is `scale`, which is required; the range is seen, but nothing follows from it.
struct FixedScale final : Observer {
  double scale = 0;

  Range observe(const Samples& batch) override { return batch.range(); }
  std::optional<float> fixed_scale() const override { return static_cast<float>(scale); }
  void validate() const override;
};

}  // namespace sinter::quant
