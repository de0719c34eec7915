#pragma once
// Private: a forward pass of a prepared model in QAT.

#include <atomic>

#include "ops/output.h"
#include "prepare.h"

namespace sinter::quant {

struct QatOptions {
  bool training = false;          ///< what is learned starts
  bool observe = false;           ///< ranges are observed, too
  bool train_batch_norm = false;  ///< "with_bn": by the batch's statistics, where it is not frozen
  bool probed = false;            ///< all of them, frozen or not
  bool train_scales = true;       ///< what is learned of scales has gradients
  std::atomic<int64_t>* nans = nullptr;
};

std::vector<Tensor> run_qat(const PreparedModel& model, std::span<const Tensor> x, const QatOptions& options);

}  // namespace sinter::quant
