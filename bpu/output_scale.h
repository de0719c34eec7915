#pragma once

#include <cstdint>
#include <vector>

#include "program.h"

namespace sinter::bpu {

/// What the integers of a program's output stand for, so that a condition on real numbers becomes one on integers, and
/// only what fulfils it is made real: `integer >= scale.threshold(real, channel)` exactly where the simulator's result
/// is `>= real`.
class OutputScale {
 public:
  /// Throws Error for an output that there is not, and for one that has no integers (float32).
  OutputScale(const Program& program, size_t output);

  /// The simulator's result for this integer of a channel (the last axis), bit for bit.
  float real(int64_t integer, int64_t channel) const;
  /// The smallest integer that stands for at least this much: above all that there are where none does (and then no
  /// int32), below or at the smallest where all do. Throws Error for NaN.
  int64_t threshold(float real, int64_t channel) const;

 private:
  std::vector<double> units_;  // by channel, or of all
};

}  // namespace sinter::bpu
