#pragma once

#include <cstdint>
#include <functional>
#include <vector>

#include "../tensor.h"

namespace sinter {

/// While alive, every batch normalisation that this thread runs, frozen or not, in training or in evaluation, uses the
/// batch's statistics and shows them, and leaves the running ones as they are. For passes without gradients: others are
/// an Error.
class BatchNormProbe {
 public:
  /// One call of ops::BatchNorm or of ops::Conv2dBatchNorm.
  struct Seen {
    Tensor running_mean, running_var;  ///< [C], the operands: whose call it is
    int64_t count = 0;                 ///< values a channel
    std::vector<double> mean, var;     ///< [C] of the batch, the variance biased
  };
  using See = std::function<void(const Seen&)>;

  explicit BatchNormProbe(See see);
  ~BatchNormProbe();
  /// This thread's innermost one, or null.
  static const BatchNormProbe* active();
  void show(const Seen& seen) const { see_(seen); }
  BatchNormProbe(const BatchNormProbe&) = delete;
  BatchNormProbe& operator=(const BatchNormProbe&) = delete;

 private:
  See see_;
  const BatchNormProbe* before_;
};

}  // namespace sinter
