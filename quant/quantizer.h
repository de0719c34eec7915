#pragma once

#include <string>
#include <vector>

#include "../core/parameter.h"
#include "contract.h"
#include "qconfig.h"

namespace sinter::quant {

/// The running range of one activation and the scale that follows from it. Its state is buffers, so that copying,
/// saving and loading a model takes it along.
class ActivationQuantizer {
 public:
  ActivationQuantizer() = default;
  ActivationQuantizer(std::string name, TensorConfig config);

  const std::string& name() const { return name_; }
  const TensorConfig& config() const { return config_; }
  Observer& observer() const { return *observer_; }
  /// Whether the scale is known: something was observed, or the observer fixes it.
  bool observed() const { return batches() > 0 || observer_->fixed_scale().has_value(); }
  int64_t batches() const;
  int64_t values() const;
  Range range() const;
  /// Takes a batch in: m += c (batch - m), the first as it is. Throws Error, naming the tensor, for NaN and infinities.
  void observe(const Samples& batch) const;
  /// Takes over what `from` has seen; the observer's own state only where it is the same observer with the same
  /// settings.
  void continue_from(const ActivationQuantizer& from) const;
  /// On the march's grid. Throws Error, naming the tensor, before any observation and for a fixed scale off the grid.
  float scale(const March& march) const;

  /// [2]: minimum and maximum; int64 [2]: batches and values seen.
  Parameter range_state, seen_state;

 private:
  std::string name_;
  TensorConfig config_;
  ObserverValue observer_;
};

/// Weights [O,...] as integers: one scale per output channel from the current values, no memory.
struct QuantizedWeights {
  Tensor values;              ///< int8 [O,...]
  std::vector<float> scales;  ///< per output channel, raised where the bias needs it
  std::vector<int32_t> bias;  ///< on the accumulator's grid
  Tensor mask;  ///< where the straight-through gradient passes, a row of bits a channel; undefined: everywhere
};
/// Throws Error, naming `name`, for values that are not finite and for a fixed scale off the march's grid.
QuantizedWeights quantize_weights(const std::string& name, const TensorConfig& config, const March& march,
                                  const Tensor& weight, const Tensor& bias, float x_scale);

}  // namespace sinter::quant
