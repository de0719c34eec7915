#include "histogram.h"

#include <algorithm>
#include <cmath>
#include <mutex>

#include "../../core/parallel.h"

namespace sinter::quant {

namespace {

constexpr int64_t kHalf = 256;   // bins on either side: those of an int8 tensor hold one integer each
constexpr int kSmallest = -140;  // exponent of the first bins of float numbers, below the smallest but a few
constexpr int64_t kGrain = 1 << 14;

}  // namespace

GrowingHistogram::GrowingHistogram(int series, float scale)
    : unit_(scale > 0 ? static_cast<double>(scale) : 1.0),
      offset_(scale > 0 ? 0.5 : 0.0),
      exponent_(scale > 0 ? 0 : kSmallest),
      counts_(static_cast<size_t>(series), std::vector<int64_t>(2 * kHalf, 0)) {}

void GrowingHistogram::grow() {
  ++exponent_;
  for (auto& counts : counts_) {
    std::vector<int64_t> merged(counts.size(), 0);
    // floor(k / 2) on both sides of 0
    for (int64_t i = 0; i < 2 * kHalf; ++i) merged[((i - kHalf) >> 1) + kHalf] += counts[i];
    counts = std::move(merged);
  }
}

void GrowingHistogram::add(int series, std::span<const float> numbers, double largest) {
  // As below, to the last bit: whatever is not larger has a bin.
  while (largest * std::ldexp(1 / unit_, -exponent_) + std::ldexp(offset_, -exponent_) >= kHalf) grow();
  const double inverse = std::ldexp(1 / unit_, -exponent_), shift = std::ldexp(offset_, -exponent_);
  std::vector<int64_t>& counts = counts_[series];
  std::mutex mutex;
  parallel_for(static_cast<int64_t>(numbers.size()), kGrain, [&](int64_t begin, int64_t end) {
    std::vector<int64_t> here(counts.size(), 0);
    for (int64_t i = begin; i < end; ++i)
      ++here[static_cast<int64_t>(std::floor(static_cast<double>(numbers[i]) * inverse + shift)) + kHalf];
    const std::lock_guard lock(mutex);  // integers: any order gives the same sums
    for (size_t i = 0; i < here.size(); ++i) counts[i] += here[i];
  });
}

GrowingHistogram::Bins GrowingHistogram::bins(int64_t most) const {
  const auto empty = [&](int64_t i) {
    return std::all_of(counts_.begin(), counts_.end(), [i](const auto& counts) { return counts[i] == 0; });
  };
  int64_t first = 0, last = 2 * kHalf - 1;
  while (first < last && empty(first)) ++first;
  while (first < last && empty(last)) --last;
  int64_t group = 1;
  while (last / group - first / group >= most) group *= 2;
  first = first / group * group;
  Bins result;
  result.width = std::ldexp(unit_ * static_cast<double>(group), exponent_);
  result.low = std::ldexp(unit_ * static_cast<double>(first - kHalf), exponent_) - unit_ * offset_;
  for (const auto& counts : counts_) {
    auto& merged = result.counts.emplace_back(last / group - first / group + 1, 0);
    for (int64_t i = first; i <= last; ++i) merged[(i - first) / group] += counts[i];
  }
  return result;
}

}  // namespace sinter::quant
