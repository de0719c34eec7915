#pragma once

#include <memory>
#include <string>
#include <vector>

#include "../core/parameter.h"
#include "../core/serialize.h"
#include "contract.h"
#include "qconfig.h"

namespace sinter::quant {

/// What `ActivationQuantizer::function` is for inputs of the network.
inline constexpr uint64_t kFunctionOfInputs = 1;

/// What the backward pass of a learned number needs.
struct Learning {
  std::shared_ptr<const FakeQuantize> by{};  ///< null: nothing is learned
  Bounds bounds{};
  explicit operator bool() const { return by != nullptr; }
};

/// The scale of one activation: from the running range that its observer found, or learned. Its state is buffers and a
/// parameter, so that copying, saving and loading a model takes it along.
class ActivationQuantizer {
 public:
  ActivationQuantizer() = default;
  /// `negative`: whether there can be negative values; `source`: where the configuration came from, for people;
  /// `march`: the grid of the scales that observers compare.
  ActivationQuantizer(std::string name, TensorConfig config, bool negative = true, std::string source = "",
                      const Arithmetic& march = {});

  const std::string& name() const { return name_; }
  const TensorConfig& config() const { return config_; }
  const std::string& source() const { return source_; }
  Observer& observer() const { return *observer_; }
  const FakeQuantize& fake_quant() const { return *fake_quant_; }
  /// What is learned, for backward passes that may outlive this.
  Learning learning() const { return {learned.defined() ? fake_quant_ : nullptr, bounds()}; }
  /// Whether the scale is known: something was observed, or learned, or the observer fixes it.
  bool observed() const;
  int64_t batches() const;
  int64_t values() const;
  Range range() const;
  /// The largest absolute value of all that were observed, before the observer made a range of them.
  float reach() const { return range_state.tensor().at({2}); }
  /// Takes a batch in, which weighs what `batch_weight` says; a learned number is to start anew. Throws Error, naming
  /// the tensor, for NaN and infinities.
  /// `function`: a number of what made the batch; 0: what the model's parameters are now, as they are in training.
  void observe(const Samples& batch, uint64_t function = 0) const;
  /// Says whether what was observed so far is of another function than the model is.
  void set_measured_elsewhere(bool elsewhere) const;
  /// Whether most of what was observed is of another function.
  bool is_measured_elsewhere() const;
  /// The number that `observe` was last given.
  uint64_t function() const;
  /// What training does with a batch: observes it, where `observing`; or, where the scale is learned, starts it once,
  /// from this batch where nothing was observed before.
  void train(const Samples& batch, bool observing = true) const;
  /// Takes over what `from` has seen and learned; the observer's own state only where it is the same observer with the
  /// same settings, what was learned only where the fake-quant is.
  void continue_from(const ActivationQuantizer& from) const;
  /// The observer's state and what it was measured on, as sections whose names start with `prefix`.
  void save(Archive& archive, const std::string& prefix) const;
  /// Throws Error for sections that are missing or that the observer finds invalid; what was measured on is in no file
  /// of earlier versions.
  void load(const Archive& archive, const std::string& prefix) const;
  /// Whether the scale would follow from values that were always 0: any holds those.
  bool dead() const;
  /// On the march's grid; of a dead tensor the largest scale of what its layer reads, `input_scale`, or the smallest
  /// there is. Throws Error, naming the tensor, before any observation and for a fixed scale off the grid.
  float scale(const Arithmetic& march, float input_scale = 0) const;
  /// The integers of the type, and those of them that are used.
  const Bounds& type() const { return observer_->type; }
  Bounds bounds() const { return fake_quant_->bounds(type()); }
  DType dtype() const { return storage_of(type()); }

  /// [3]: minimum, maximum and the largest absolute value of all; int64 [2]: batches and values seen.
  Parameter range_state, seen_state;
  /// [1]: the fake-quant's learned number, 0 before it starts; undefined where nothing is learned.
  Parameter learned;

 private:
  float start(const Samples* batch) const;
  float scale_from_observer(const Arithmetic& march, float input_scale) const;

  std::string name_, source_;
  TensorConfig config_;
  ObserverValue observer_;
  std::shared_ptr<const FakeQuantize> fake_quant_;
  Parameter function_state_;  // int64 [2]: the function, and how many batches were of another one than the model's
};

/// Weights [O,...] as integers, one scale per output channel.
struct QuantizedWeights {
  Tensor values;              ///< int8 [O,...]
  std::vector<float> scales;  ///< per output channel, raised where the bias needs it
  std::vector<int32_t> bias;  ///< on the accumulator's grid
  Tensor mask;  ///< where the straight-through gradient passes, a row of bits a channel; undefined: everywhere
};

/// The scales of a layer's weights: from their current values, with no memory, or learned, or frozen.
class WeightQuantizer {
 public:
  WeightQuantizer() = default;
  WeightQuantizer(std::string name, TensorConfig config, int64_t outputs, std::string source = "",
                  const Arithmetic& march = {});

  const std::string& name() const { return name_; }
  const TensorConfig& config() const { return config_; }
  const std::string& source() const { return source_; }
  const FakeQuantize& fake_quant() const { return *fake_quant_; }
  Learning learning() const { return {learned.defined() ? fake_quant_ : nullptr, bounds()}; }
  Bounds bounds() const { return fake_quant_->bounds(observer_->type); }
  /// The scales on the march's grid, before any bias raises them. Throws Error, naming the channel, for values that are
  /// not finite and for a fixed scale off the grid.
  std::vector<float> scales(const Arithmetic& march, const Tensor& weight) const;
  /// Throws Error as `scales` does, and for a bias that is not finite.
  QuantizedWeights quantize(const Arithmetic& march, const Tensor& weight, const Tensor& bias, float x_scale,
                            const Grid* skip = nullptr) const;
  /// Starts what is learned from these weights, once.
  void train(const Tensor& weight) const;
  /// Keeps the scales that these weights have now, whatever becomes of them: their rounding can then be chosen.
  void freeze(const Arithmetic& march, const Tensor& weight) const;
  /// [O]: the fake-quant's learned numbers, 0 before they start; undefined where nothing is learned.
  Parameter learned;
  /// [O]: frozen scales; 0 where a scale follows from the weights.
  Parameter frozen_state;

 private:
  float scale_of(const Arithmetic& march, const Tensor& weight, int64_t channel) const;
  float start(const Arithmetic& march, const Samples& weights) const;

  std::string name_, source_;
  TensorConfig config_;
  ObserverValue observer_;
  std::shared_ptr<const FakeQuantize> fake_quant_;
};

}  // namespace sinter::quant
