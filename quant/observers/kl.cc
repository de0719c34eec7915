#include "kl.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "../../core/error.h"

namespace sinter::quant {

namespace {

double x_log_x(double x) { return x > 0 ? x * std::log(x) : 0; }

// How many of the histogram's bins to keep for `levels` integers: of i = levels, levels + 1, ... all, the one for which
// the distribution P (bins 0..i-1, what is beyond counted in the last one) is nearest to Q (the same bins merged into
// `levels` equal parts, each of which is spread evenly over those of its bins that are not empty), the most on ties.
size_t bins_to_keep(const std::vector<int64_t>& histogram, size_t levels) {
  // As in TensorRT's toolkit bin 0 counts like bin 1: zeros, half of all values after a ReLU, are exact with any
  // threshold, and would call for the least one.
  std::vector<double> counts(histogram.begin(), histogram.end());
  counts[0] = counts[1];
  const size_t bins = counts.size();
  std::vector<double> sums(bins + 1), filled(bins + 1), logs(bins + 1);  // of the bins before
  for (size_t k = 0; k < bins; ++k) {
    sums[k + 1] = sums[k] + counts[k];
    filled[k + 1] = filled[k] + (counts[k] > 0 ? 1 : 0);
    logs[k + 1] = logs[k] + x_log_x(counts[k]);
  }
  // Sums of the same value differ by their rounding: as those of all thresholds where each level has one value.
  const double rounding = 1e-12 * x_log_x(sums[bins]);
  double least = std::numeric_limits<double>::infinity();
  size_t best = bins;
  for (size_t i = levels; i <= bins; ++i) {
    const double outliers = sums[bins] - sums[i], last = counts[i - 1];
    if (outliers > 0 && last == 0) continue;  // Q has nothing where P has the outliers
    // One bin that holds a few values and counts all others is like itself, whatever is lost: of values in [0.5, 1]
    // the first bin would do. A threshold keeps half of what there is, at least.
    if (outliers > sums[i]) continue;
    // N KL(P, Q) up to constants: sum p log p - sum p log q + N log sum q, where sum p = N.
    double divergence = logs[i - 1] + x_log_x(last + outliers) + sums[bins] * std::log(sums[i]);
    for (size_t level = 0, begin = 0; level < levels; ++level) {
      const size_t end = ((level + 1) * i + levels - 1) / levels;
      const double sum = sums[end] - sums[begin];
      if (sum > 0) divergence -= (end == i ? sum + outliers : sum) * std::log(sum / (filled[end] - filled[begin]));
      begin = end;
    }
    if (divergence <= least + rounding) {
      least = std::min(least, divergence);
      best = i;
    }
  }
  return best;
}

}  // namespace

void Kl::validate() const {
  check(bins >= 128 && bins <= (1 << 16), "kl: bins is ", bins, ", expected 128 to 2^16");
  check(update_interval >= 1, "kl: update_interval is ", update_interval, ", expected at least 1");
  const auto size = static_cast<int64_t>(counts_.size());
  check(size == 0 || (size >= bins && size <= most_bins() && std::isfinite(width_) && width_ > 0),
        "kl: the state's histogram has ", size, " bins of width ", width_);
  int64_t seen = 0;
  for (const int64_t count : counts_) {
    check(count >= 0 && count <= kMostCounted - seen, "kl: the state's histogram has a bin of ", count, " values");
    seen += count;
  }
  check(batches_ >= 0 && batches_ <= kMostCounted, "kl: the state is of ", batches_, " batches");
  check(std::isfinite(min_) && std::isfinite(max_) && min_ <= max_ && std::isfinite(threshold_) && threshold_ >= 0,
        "kl: the state's range is ", min_, "..", max_, ", its threshold ", threshold_);
}

void Kl::state(StateVisitor& visitor) {
  visitor.visit("counts", counts_);
  visitor.visit("width", width_);
  visitor.visit("threshold", threshold_);
  visitor.visit("min", min_);
  visitor.visit("max", max_);
  visitor.visit("batches", batches_);
}

void Kl::make_room(double reach) {
  if (counts_.empty()) {
    counts_.assign(bins, 0);
    width_ = reach / static_cast<double>(bins);
  }
  while (reach > width_ * static_cast<double>(most_bins())) {
    for (size_t k = 0; k < counts_.size(); ++k) {
      const int64_t count = std::exchange(counts_[k], 0);
      counts_[k / 2] += count;
    }
    width_ *= 2;
  }
  const auto needed = static_cast<int64_t>(std::ceil(reach / width_));
  counts_.resize(std::clamp(needed, static_cast<int64_t>(counts_.size()), most_bins()));
}

Range Kl::observe(const Samples& batch) {
  const Range range = batch.range();
  const double reach = std::max(-range.min, range.max);
  if (reach > 0) {
    make_room(reach);
    const auto seen =
        batch.histogram(static_cast<int64_t>(counts_.size()), width_ * static_cast<double>(counts_.size()));
    for (size_t k = 0; k < seen.size(); ++k) counts_[k] += seen[k];
  }
  min_ = batches_ == 0 ? range.min : std::min<double>(min_, range.min);
  max_ = batches_ == 0 ? range.max : std::max<double>(max_, range.max);
  const bool due = batches_++ % update_interval == 0;
  if (!counts_.empty() && (due || threshold_ == 0)) {
    const int64_t levels = (int64_t{type.high} - type.low + 1) / 2;
    threshold_ = (static_cast<double>(bins_to_keep(counts_, levels)) + 0.5) * width_;
  }
  return {static_cast<float>(std::max(min_, -threshold_)), static_cast<float>(std::min(max_, threshold_))};
}

}  // namespace sinter::quant
