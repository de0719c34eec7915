#pragma once
// Private: where a run of `fit` stands, as its checkpoint holds it.

#include <cstdint>
#include <optional>
#include <vector>

#include "../core/serialize.h"
#include "fit.h"
#include "sums.h"

namespace sinter::nn {

struct TrainingRun {
  int64_t epoch = 0, batch = 0;  // the next
  Sums sums;                     // of this epoch
  double seconds = 0;            // of this epoch
  double lr = 0;
  std::vector<EpochReport> epochs;

  void save(Archive& archive) const;
  void load(const Archive& archive);
};

/// The epochs so far by what a monitor says of them.
struct Ranking {
  int64_t best = -1;   ///< none yet
  int64_t waited = 0;  ///< epochs since
};
/// Throws Error for a number that an epoch has not.
Ranking ranked(const std::vector<EpochReport>& epochs, const Monitor& monitor);
/// What the monitor says of an epoch.
double monitored(const EpochReport& report, const Monitor& monitor);

}  // namespace sinter::nn
