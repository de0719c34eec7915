#pragma once
// Private: adds up how far the values of one tensor are from those of another.

#include <limits>
#include <vector>

#include "compare.h"

namespace sinter::quant {

/// Sums over images, one after the other, so that any split into batches gives the same bits.
class DifferenceMeter {
 public:
  /// a and b.values are float32 [N,...] of one shape. Throws Error, naming the node, for values that are not finite.
  void add(const Tensor& a, const StageValue& b);

  int64_t values() const { return values_; }
  Spread spread_a() const { return spread(sums_.a, reach_a_); }
  Spread spread_b() const { return spread(sums_.b, reach_b_); }
  /// Errors in units of `unit`.
  Difference difference(double unit) const;

  struct Moments {
    double sum = 0, squares = 0;
    float min = std::numeric_limits<float>::infinity(), max = -std::numeric_limits<float>::infinity();
  };
  struct Sums {
    Moments a, b;
    double products = 0, errors = 0, squared_errors = 0, clipping = 0, max_error = 0;
    int64_t saturated = 0;
  };

 private:
  void note_levels(const StageValue& b);
  Spread spread(const Moments& moments, const std::vector<float>& reach) const;

  Sums sums_;
  int64_t values_ = 0;
  std::vector<float> reach_a_, reach_b_;  // by channel
  std::vector<double> errors_;            // sum y - x by channel
  std::vector<bool> levels_;              // which integers occurred
};

}  // namespace sinter::quant
