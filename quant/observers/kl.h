#pragma once

#include "../observer.h"

namespace sinter::quant {

/// "kl": a histogram of abs(x) over all batches, in `bins` equal bins over the first batch's maximum; larger values add
/// bins of the same width, up to 16 times as many, then pairs of bins become one. Every `update_interval` batches
/// the threshold is searched whose clipped and quantised values have the least Kullback-Leibler divergence from the
/// histogram (TensorRT's search, but no threshold clips more values than it keeps); batches after the last search count
/// from the next one on. The minimum and maximum of all batches are limited to +-threshold; c = 1, as all batches are
/// in it.
struct Kl final : Observer {
  int64_t bins = 512, update_interval = 1;

  Range observe(const Samples& batch) override;
  bool for_weights() const override { return false; }
  double default_averaging_constant() const override { return 1; }
  void validate() const override;
  void state(StateVisitor& visitor) override;

 private:
  int64_t most_bins() const { return 16 * bins; }
  void make_room(double reach);

  std::vector<int64_t> counts_;  // empty until there is a value other than 0
  double width_ = 0, threshold_ = 0, min_ = 0, max_ = 0;
  int64_t batches_ = 0;
};

}  // namespace sinter::quant
