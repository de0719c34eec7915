#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "../core/random.h"
#include "../core/serialize.h"
#include "ema.h"
#include "module.h"
#include "optim/optimizer.h"

namespace sinter::nn {

/// Writes a model's parameters and buffers, and what its modules add, to a file: as they are, finite or not. A layer
/// that SINTER_CHILDREN does not list is not in it, nor read by `load`: only a run tells, and the first one, alone or
/// by `fit`, `evaluate`, `trace` or `prepare_qat`, ends with an Error that names its shape.
void save(const Module& model, const std::string& path);

/// Reads them back, also from a checkpoint of `fit`; what is frozen stays so. Throws Error, saying what differs, for a
/// file that is damaged or of another model, which leaves the model as it was.
void load(Module& model, const std::string& path);

/// What a training loop of one's own goes on from, besides the model and `default_random()`.
struct TrainingState {
  optim::Optimizer* optimizer = nullptr;
  Ema* ema = nullptr;
  std::map<std::string, int64_t> counters{};  ///< where it stands: step, epoch, and so on
};

/// Replaces a file, whole or not at all, by all that a loop needs to go on with the same bits. `load` reads the model
/// alone from it, or its averages where there are any.
void save_checkpoint(const Module& model, const TrainingState& state, const std::string& path);

/// Reads it back, the counters too. Throws Error for a file that is damaged, or of another model, optimiser or kind of
/// state; then nothing is changed.
void load_checkpoint(Module& model, TrainingState& state, const std::string& path);

namespace detail {

inline constexpr const char* kCheckpoint = "checkpoint";

/// What a run was started with, by name: what must agree for one run to go on where another stopped.
using Settings = std::vector<std::pair<std::string, std::string>>;

/// Throws Error with what differs.
void save_settings(const Settings& settings, Archive& archive);
void check_settings(const Settings& settings, const Archive& archive, const std::string& path);

void save_model(const Module& model, Archive& archive);
void load_model(Module& model, const Archive& archive);
/// With averages, these are what `load_model` alone finds.
void save_model(const Module& model, const Ema* ema, Archive& archive);
void load_model(Module& model, Ema* ema, const Archive& archive);

/// The calling thread's `default_random()`.
void save_random(Archive& archive);
Random saved_random(const Archive& archive);

}  // namespace detail

}  // namespace sinter::nn
