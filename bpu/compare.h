#pragma once

#include <cstdint>
#include <functional>
#include <string>

#include "../data/dataset.h"
#include "../quant/prepare.h"
#include "reference.h"
#include "simulator.h"

namespace sinter::bpu {

/// How many integers of two runs differ.
struct Comparison {
  int64_t images = 0;
  int64_t compared = 0;  ///< of all activations, inputs and heads included; real numbers where a node is float
  int64_t differing = 0;
  std::string first{};  ///< where: value, image, the two integers; empty when none differ
};
std::string to_string(const Comparison& comparison);

struct CompareOptions {
  int64_t batch = 256;
  int64_t batches = 0;                             ///< stop after so many; 0: the whole dataset
  std::function<void(int64_t images)> on_batch{};  ///< after every batch, with the images compared so far
};

/// Runs a prepared model in FakeQuantState::validation beside a simulator of its program over a dataset, and compares
/// every integer of every activation, and the bits of real numbers where a node is float. Throws Error when one has a
/// value that the other lacks.
Comparison compare(const quant::PreparedModel& model, const Simulator& simulator, const data::Dataset& dataset,
                   const CompareOptions& options = {});
/// The same for the simulator and the witness.
Comparison compare(const Reference& reference, const Simulator& simulator, const data::Dataset& dataset,
                   const CompareOptions& options = {});

}  // namespace sinter::bpu
