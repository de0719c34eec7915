#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <string>
#include <vector>

#include "../data/dataset.h"
#include "../data/inputs.h"
#include "../nn/metrics/metric.h"
#include "../quant/prepare.h"
#include "reference.h"
#include "simulator.h"

namespace sinter::bpu {

/// How many values of two runs differ.
struct Comparison {
  int64_t images = 0;
  int64_t compared = 0;  ///< of all activations: integers, inputs and heads included, and what stays float
  int64_t differing = 0;
  std::string first{};  ///< where: value, image, the two integers; empty when none differ
  std::map<std::string, double> metrics_a{}, metrics_b{};  ///< of the outputs of either, by name
};
std::string to_string(const Comparison& comparison);

struct CompareOptions {
  int64_t batch = 256;
  int64_t batches = 0;    ///< stop after so many; 0: the whole dataset
  data::Inputs inputs{};  ///< what the network reads; several where it has several inputs
  nn::Metrics metrics{};  ///< of the outputs of both
  std::function<data::Batch(std::vector<data::Sample>)> collate{};  ///< of the loader
  std::function<void(int64_t images)> on_batch{};  ///< after every batch, with the images compared so far
};

/// Runs a prepared model in FakeQuantState::validation beside a simulator of its program over a dataset, and compares
/// every integer of every activation. Throws Error when one has a value that the other lacks.
Comparison compare(const quant::PreparedModel& model, const Simulator& simulator, const data::Dataset& dataset,
                   const CompareOptions& options = {});
/// The same for the simulator and the witness.
Comparison compare(const Reference& reference, const Simulator& simulator, const data::Dataset& dataset,
                   const CompareOptions& options = {});

}  // namespace sinter::bpu
