#include "quantizer.h"

#include <cmath>

#include "../core/parallel.h"
#include "integer/values.h"

namespace sinter::quant {

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
    seen = observer_->observe(batch);
    check(std::isfinite(seen.min) && std::isfinite(seen.max), "its range is [", seen.min, ",", seen.max, "]");
  } catch (const Error& error) {
    fail(name_, ": ", error.what());
  }
  // The buffers are state behind a const forward: written through another handle.
  Tensor range = range_state.tensor(), counts = seen_state.tensor();
  float* running = range.mutable_data<float>();
  auto* count = counts.mutable_data<int64_t>();
  if (count[0] == 0) {
    running[0] = seen.min;
    running[1] = seen.max;
  } else {
    const auto c = static_cast<float>(config_.averaging_constant);
    running[0] += c * (seen.min - running[0]);
    running[1] += c * (seen.max - running[1]);
  }
  ++count[0];
  count[1] += batch.count();
}

float ActivationQuantizer::scale(const March& march) const {
  check(observed(), name_,
        ": its scale is used but nothing was observed; feed data in FakeQuantState::calibration, or "
        "load_observer_params from a calibrated model, first");
  const Range r = range();
  return march.on_grid(scale_from_range(r.min, r.max));
}

QuantizedWeights quantize_weights(const std::string& name, const TensorConfig& config, const March& march,
                                  const Tensor& weight, const Tensor& bias, float x_scale) {
  const int64_t outputs = weight.size(0);
  const float* b = bias.data<float>();
  QuantizedWeights result{
      Tensor::empty(weight.shape(), DType::int8), std::vector<float>(outputs), std::vector<int32_t>(outputs), {}};
  const int64_t grain = std::max<int64_t>(1, (1 << 14) / (weight.elements() / outputs));
  parallel_for(outputs, grain, [&](int64_t begin, int64_t end) {
    const ObserverValue observer = config.make_observer();
    for (int64_t o = begin; o < end; ++o) try {
        const Range range = observer->observe(Samples::channel(weight, o));
        const float scale = march.on_grid(scale_from_range(range.min, range.max));
        result.scales[o] = effective_weight_scale(march, scale, x_scale, b[o]);
        result.bias[o] = quantize_bias(b[o], x_scale, result.scales[o]);
      } catch (const Error& error) {
        fail(name, ": weights of output channel ", o, ": ", error.what());
      }
  });
  quantize(weight, result.scales, {}, march.rounding, result.values,
           config.make_observer()->full_range() ? nullptr : &result.mask);
  return result;
}

}  // namespace sinter::quant
