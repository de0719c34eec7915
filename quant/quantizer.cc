#include "quantizer.h"

#include <cmath>

#include "../core/parallel.h"
#include "integer/values.h"
#include "observer_state.h"

namespace sinter::quant {

namespace {

// The range that an observer makes of a batch.
Range range_of(const TensorConfig& config, Observer& observer, const Samples& batch) {
  try {
    const Range range = observer.observe(batch);
    check(std::isfinite(range.min) && std::isfinite(range.max), "its range is [", range.min, ",", range.max, "]");
    return range;
  } catch (const Error& error) {
    fail(config.observer, ": ", error.what());
  }
}

float scale_of(const Observer& observer, const Range& range, const March& march) {
  const std::optional<float> fixed = observer.fixed_scale();
  if (!fixed) return march.on_grid(scale_from_range(range.min, range.max, observer.type));
  const float nearest = march.on_grid(*fixed);
  check(nearest == *fixed, "the fixed scale ", *fixed, " is not on the grid of ", march, ", but ", nearest, " is");
  return *fixed;
}

}  // namespace

ActivationQuantizer::ActivationQuantizer(std::string name, TensorConfig config)
    : range_state(Tensor::zeros({2}), false),
      seen_state(Tensor::zeros({2}, DType::int64), false),
      name_(std::move(name)),
      config_(std::move(config)),
      observer_(config_.make_observer()) {}

int64_t ActivationQuantizer::batches() const { return seen_state.tensor().at<int64_t>({0}); }
int64_t ActivationQuantizer::values() const { return seen_state.tensor().at<int64_t>({1}); }

Range ActivationQuantizer::range() const { return {range_state.tensor().at({0}), range_state.tensor().at({1})}; }

void ActivationQuantizer::observe(const Samples& batch) const {
  Range seen;
  try {
    seen = range_of(config_, *observer_, batch);
  } catch (const Error& error) {
    fail(name_, ": ", error.what());
  }
  // The buffers are state behind a const forward: written through another handle.
  Tensor range = range_state.tensor(), counts = seen_state.tensor();
  float* running = range.mutable_data<float>();
  auto* count = counts.mutable_data<int64_t>();
  if (count[0] > 0) seen = averaged({running[0], running[1]}, seen, config_.averaging_constant);
  running[0] = seen.min;
  running[1] = seen.max;
  ++count[0];
  count[1] += batch.count();
}

void ActivationQuantizer::continue_from(const ActivationQuantizer& from) const {
  Tensor range = range_state.tensor(), seen = seen_state.tensor();
  range.copy_from(from.range_state);
  seen.copy_from(from.seen_state);
  if (!same_observer(config_, from.config_)) return;
  Archive state("observer");
  save_observer(*from.observer_, state, "");
  load_observer(*observer_, state, "");
}

float ActivationQuantizer::scale(const March& march) const {
  check(observed(), name_,
        ": its scale is used but nothing was observed; feed data in FakeQuantState::calibration, or "
        "load_observer_params from a calibrated model, first");
  try {
    return scale_of(*observer_, range(), march);
  } catch (const Error& error) {
    fail(name_, ": ", error.what());
  }
}

QuantizedWeights quantize_weights(const std::string& name, const TensorConfig& config, const March& march,
                                  const Tensor& weight, const Tensor& bias, float x_scale) {
  const int64_t outputs = weight.size(0);
  const float* b = bias.data<float>();
  QuantizedWeights result{
      Tensor::empty(weight.shape(), DType::int8), std::vector<float>(outputs), std::vector<int32_t>(outputs), {}};
  const int64_t grain = std::max<int64_t>(1, (1 << 14) / (weight.elements() / outputs));
  const ObserverValue fresh = config.make_observer();
  parallel_for(outputs, grain, [&](int64_t begin, int64_t end) {
    for (int64_t o = begin; o < end; ++o) try {
        const ObserverValue observer = fresh;
        const Range range = range_of(config, *observer, Samples::channel(weight, o));
        const float scale = scale_of(*observer, range, march);
        result.scales[o] = effective_weight_scale(march, scale, x_scale, b[o]);
        result.bias[o] = quantize_bias(b[o], x_scale, result.scales[o]);
      } catch (const Error& error) {
        fail(name, ": weights of output channel ", o, ": ", error.what());
      }
  });
  quantize(weight, result.scales, {}, march.rounding, result.values, fresh->full_range() ? nullptr : &result.mask);
  return result;
}

}  // namespace sinter::quant
