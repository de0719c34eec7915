#pragma once
// Private: counts of several series of numbers in common bins.

#include <cstdint>
#include <span>
#include <vector>

namespace sinter::quant {

/// Bins of width unit * 2^k; k grows with the largest number, and pairs of bins merge then, so that the counts do not
/// depend on the order or the batches in which numbers came. With a scale as unit the edges lie between its integers,
/// and every bin holds equally many of them.
class GrowingHistogram {
 public:
  /// `scale` 0: any bins do.
  GrowingHistogram(int series, float scale);

  /// Counts numbers, all finite, the largest of which has this absolute value.
  void add(int series, std::span<const float> numbers, double largest);

  /// The bins from the first to the last that holds anything, merged until there are at most `most` (a power of two).
  struct Bins {
    double low = 0, width = 0;
    std::vector<std::vector<int64_t>> counts;  // by series
  };
  Bins bins(int64_t most) const;

 private:
  void grow();

  double unit_, offset_;
  int exponent_;
  std::vector<std::vector<int64_t>> counts_;
};

}  // namespace sinter::quant
