#pragma once

#include <cstdint>
#include <functional>
#include <vector>

#include "../data/dataset.h"
#include "../data/inputs.h"
#include "../nn/module.h"

namespace sinter::quant {

struct RecalibrateOptions {
  int64_t batch = 128;
  int64_t batches = 0;    ///< so many are enough; 0: the whole dataset
  uint64_t seed = 0;      ///< of the order, and so of what is in a batch
  int64_t workers = 1;    ///< threads that prepare batches: changes no result
  data::Inputs inputs{};  ///< what the network reads; several where it has several inputs
  std::function<data::Batch(std::vector<data::Sample>)> collate{};  ///< of the loader
};

/// Re-estimates the running mean and variance of every batch normalisation that the model runs, in place, whatever
/// they were and whatever its momentum. The model runs in evaluation behaviour, but each batch is normalised by its own
/// statistics. Over all calls b with n_b values a channel, mean m_b and biased variance v_b, N = sum n_b, these are
/// pooled exactly, in double (PyTorch's momentum=None averages the batches' instead, however large they are):
///
///     mean = sum n_b m_b / N,    var = (sum n_b v_b + sum n_b (m_b - mean)^2) / (N - 1)
///
/// which is what the values of all batches together have. Nothing else of the model changes.
/// Throws Error, and changes nothing, when the model runs no batch normalisation, for one whose statistics are not
/// listed in SINTER_CHILDREN, for a batch with one value a channel, and when what it sees is not finite.
void recalibrate_bn(nn::Module& model, const data::Dataset& dataset, const RecalibrateOptions& options = {});

}  // namespace sinter::quant
