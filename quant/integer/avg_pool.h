#pragma once
// Private: average pooling of integers.

#include <vector>

#include "../../core/ops/avg_pool2d.h"
#include "../../core/ops/pool_windows.h"
#include "../contract.h"

namespace sinter::quant {

/// The windows of an average pooling, and how many values each one's mean counts.
struct AvgPoolPlan {
  AvgPoolPlan(const AvgPoolAttributes& a, const Shape& x, const Shape& y);

  int64_t count(int64_t row, int64_t column) const { return row_counts[row] * column_counts[column]; }

  ops::PoolPlan windows;
  std::vector<int64_t> row_counts, column_counts;  ///< by output row and column
  std::vector<int64_t> counts;                     ///< all there are, ascending: a rescaling each
};

/// y [N,OH,OW,C] from the sum of each window of x [N,H,W,C], rescaled as its count says, the sums within 32 bits; x and
/// y are int8 or int16.
void integer_avg_pool(const AvgPoolAttributes& a, const Tensor& x, const std::vector<Rescaling>& by,
                      const Bounds& bounds, const Datapath& datapath, Tensor& y);

}  // namespace sinter::quant
