#include "quantizer.h"

#include <algorithm>
#include <bit>
#include <cmath>

#include "../core/autograd.h"
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

float scale_of_range(const Observer& observer, const Range& range, const Arithmetic& march) {
  const std::optional<float> fixed = observer.fixed_scale();
  if (!fixed) return march.on_grid(scale_from_range(range.min, range.max, observer.type), observer.of_weights);
  const float nearest = march.on_grid(*fixed, observer.of_weights);
  check(nearest == *fixed, "the fixed scale ", *fixed, " is not on the grid of ", march, ", but ", nearest, " is");
  return *fixed;
}

// Sections beside the observer's own.
constexpr const char *kFunction = "measured_on", *kElsewhere = "measured_elsewhere";

float reach_of(const Range& range) { return std::max({-range.min, range.max, 0.0f}); }

// Of a batch: mean and largest of |x|. Blocks are added in order, so that threads change nothing.
struct Magnitude {
  double sum = 0, max = 0;
};

Magnitude magnitude_of(const Samples& batch) {
  return batch.reduce(
      Magnitude{},
      [](Magnitude& m, const float* x, int64_t count) {
        for (int64_t i = 0; i < count; ++i) {
          const double size = std::abs(static_cast<double>(x[i]));
          m.sum += size;
          m.max = std::max(m.max, size);
        }
      },
      [](Magnitude& into, const Magnitude& from) {
        into.sum += from.sum;
        into.max = std::max(into.max, from.max);
      });
}

Parameter learned_numbers(const FakeQuantize& fake_quant, int64_t count) {
  if (fake_quant.learned().empty()) return {};
  Parameter learned(Tensor::zeros({count}));
  learned.set_weight_decay(fake_quant.weight_decay()).set_minimum(kMinScale);
  return learned;
}

// A learned number's scale on the grid.
float learned_scale(const FakeQuantize& fake_quant, float learned, const Bounds& bounds, const Arithmetic& march,
                    bool of_weights) {
  check(std::isfinite(learned), "its learned ", fake_quant.learned(), " is ", learned, ": training has diverged");
  return march.on_grid(std::max(fake_quant.scale(std::max(learned, kMinScale), bounds), kMinScale), of_weights);
}

}  // namespace

ActivationQuantizer::ActivationQuantizer(std::string name, TensorConfig config, bool negative, std::string source,
                                         const Arithmetic& march)
    : range_state(Tensor::zeros({3}), false),
      seen_state(Tensor::zeros({2}, DType::int64), false),
      name_(std::move(name)),
      source_(std::move(source)),
      config_(std::move(config)),
      observer_(config_.make_observer(march, negative)),
      fake_quant_(config_.make_fake_quant()),
      function_state_(Tensor::zeros({2}, DType::int64), false) {
  learned = learned_numbers(*fake_quant_, 1);
}

int64_t ActivationQuantizer::batches() const { return seen_state.tensor().at<int64_t>({0}); }
int64_t ActivationQuantizer::values() const { return seen_state.tensor().at<int64_t>({1}); }

bool ActivationQuantizer::observed() const {
  return batches() > 0 || observer_->fixed_scale().has_value() || (learned.defined() && learned.tensor().at({0}) != 0);
}

bool ActivationQuantizer::dead() const {
  const bool learning = learned.defined() && learned.tensor().at({0}) != 0;
  return batches() > 0 && reach_of(range()) == 0 && !observer_->fixed_scale() && !learning;
}

Range ActivationQuantizer::range() const { return {range_state.tensor().at({0}), range_state.tensor().at({1})}; }

void ActivationQuantizer::observe(const Samples& batch, uint64_t function) const {
  Range seen;
  float reach = 0;
  try {
    seen = range_of(config_, *observer_, batch);
    reach = reach_of(batch.range());
  } catch (const Error& error) {
    fail(name_, ": ", error.what());
  }
  // The buffers are state behind a const forward: written through another handle.
  Tensor range = range_state.tensor(), counts = seen_state.tensor(), measured = function_state_.tensor();
  sinter::detail::Access::write<int64_t>(measured)[0] = std::bit_cast<int64_t>(function);
  float* running = sinter::detail::Access::write<float>(range);
  auto* count = sinter::detail::Access::write<int64_t>(counts);
  for (const int i : {0, 1}) count[i] = std::clamp<int64_t>(count[i], 0, kMostCounted);  // a file's may be anything
  const double weight = batch_weight(config_.averaging_constant, ++count[0], config_.warm_up);
  const bool zeros = reach_of(seen) == 0;
  seen = averaged({running[0], running[1]}, seen, weight);
  // What zeros have left of a range that no scale is small enough for is none: the tensor has died.
  if (zeros && weight > 0 && scale_from_range(seen.min, seen.max, type()) == kMinScale) seen = {};
  running[0] = seen.min;
  running[1] = seen.max;
  running[2] = std::max(running[2], reach);
  count[1] += batch.count();
  if (learned.defined()) {
    Tensor number = learned.tensor();
    sinter::detail::Access::write<float>(number)[0] = 0;
  }
}

// Where a learned number starts: at what the observer asks for, or, where it saw nothing but zeros, from this batch.
float ActivationQuantizer::start(const Samples* batch) const {
  LearnedStart from{.bounds = bounds()};
  const std::optional<float> fixed = observer_->fixed_scale();
  if (fixed || (batches() > 0 && !dead())) {
    from.scale = fixed ? *fixed : scale_from_range(range().min, range().max, type());
    from.reach = fixed ? *fixed * static_cast<float>(from.bounds.high) : reach_of(range());
  } else if (batch != nullptr) {
    const Magnitude magnitude = magnitude_of(*batch);
    from.mean_abs = magnitude.sum / static_cast<double>(batch->count());
    from.max_abs = magnitude.max;
  }
  return static_cast<float>(fake_quant_->start(from));
}

void ActivationQuantizer::train(const Samples& batch, bool observing) const {
  if (!learned.defined()) {
    if (observing) observe(batch);
    return;
  }
  Tensor number = learned.tensor();
  if (number.at({0}) != 0) return;
  const float first = start(&batch);
  if (observing && (batches() == 0 || dead())) observe(batch);           // so that what is printed of it is known
  if (!dead()) sinter::detail::Access::write<float>(number)[0] = first;  // else there is nothing to start from yet
}

void ActivationQuantizer::continue_from(const ActivationQuantizer& from) const {
  Tensor range = range_state.tensor(), seen = seen_state.tensor(), measured = function_state_.tensor();
  range.copy_from(from.range_state);
  seen.copy_from(from.seen_state);
  measured.copy_from(from.function_state_);
  if (learned.defined()) {
    Tensor number = learned.tensor();
    number.copy_from(from.learned.defined() && from.config_.fake_quant == config_.fake_quant && from.type() == type()
                         ? from.learned.tensor()
                         : Tensor::zeros({1}));
  }
  if (!same_observer(config_, from.config_)) return;
  Archive state("observer");
  save_observer(*from.observer_, state, "");
  load_observer(*observer_, state, "");
}

void ActivationQuantizer::set_measured_elsewhere(bool elsewhere) const {
  Tensor measured = function_state_.tensor();
  sinter::detail::Access::write<int64_t>(measured)[1] = elsewhere ? batches() : 0;
}

bool ActivationQuantizer::is_measured_elsewhere() const {
  const auto elsewhere = function_state_.tensor().at<int64_t>({1});
  return elsewhere > 0 && (config_.averaging_constant == 0 || batches() / 2 < elsewhere);
}

uint64_t ActivationQuantizer::function() const {
  return std::bit_cast<uint64_t>(function_state_.tensor().at<int64_t>({0}));
}

void ActivationQuantizer::save(Archive& archive, const std::string& prefix) const {
  save_observer(*observer_, archive, prefix);
  archive.set(prefix + kFunction, function_state_.tensor().at<int64_t>({0}));
  archive.set(prefix + kElsewhere, function_state_.tensor().at<int64_t>({1}));
}

void ActivationQuantizer::load(const Archive& archive, const std::string& prefix) const {
  const auto number = [&](const char* name) {
    return archive.contains(prefix + name) ? archive.integer(prefix + name) : 0;
  };
  const int64_t function = number(kFunction), elsewhere = number(kElsewhere);
  load_observer(*observer_, archive, prefix);
  Tensor measured = function_state_.tensor();
  measured.copy_from(Tensor::from<int64_t>({2}, {function, elsewhere}));
}

float ActivationQuantizer::scale_from_observer(const Arithmetic& march, float input_scale) const {
  if (dead()) return march.on_grid(std::max(input_scale, kMinScale));
  const float from_range = scale_of_range(*observer_, range(), march);  // throws for a fixed one off the grid
  if (!learned.defined()) return from_range;
  const float number = learned.tensor().at({0});
  return learned_scale(*fake_quant_, number != 0 ? number : start(nullptr), bounds(), march, false);
}

float ActivationQuantizer::scale(const Arithmetic& march, float input_scale) const {
  check(observed(), name_,
        ": its scale is used but nothing was observed; feed data in FakeQuantState::calibration, or "
        "load_observer_params from a calibrated model, first");
  try {
    return scale_from_observer(march, input_scale);
  } catch (const Error& error) {
    fail(name_, ": ", error.what());
  }
}

WeightQuantizer::WeightQuantizer(std::string name, TensorConfig config, int64_t outputs, std::string source,
                                 const Arithmetic& march)
    : frozen_state(Tensor::zeros({outputs}), false),
      name_(std::move(name)),
      source_(std::move(source)),
      config_(std::move(config)),
      observer_(config_.make_observer(march, true, true)),
      fake_quant_(config_.make_fake_quant()) {
  learned = learned_numbers(*fake_quant_, outputs);
}

float WeightQuantizer::start(const Arithmetic& march, const Samples& weights) const {
  const ObserverValue observer = observer_;
  observer->march = march;
  const Range range = range_of(config_, *observer, weights);
  const Magnitude magnitude = magnitude_of(weights);
  return static_cast<float>(fake_quant_->start(
      {.bounds = bounds(),
       .mean_abs = magnitude.sum / static_cast<double>(weights.count()),
       .max_abs = magnitude.max,
       .scale = observer->fixed_scale().value_or(scale_from_range(range.min, range.max, observer->type)),
       .reach = reach_of(range),
       .weights = true}));
}

float WeightQuantizer::scale_of(const Arithmetic& march, const Tensor& weight, int64_t o) const {
  const Samples samples = Samples::channel(weight, o);
  const float frozen = frozen_state.tensor().at({o});
  if (frozen != 0 || learned.defined()) samples.range();  // throws for what is not finite
  if (frozen != 0) return frozen;
  if (learned.defined()) {
    if (observer_->fixed_scale()) scale_of_range(*observer_, {}, march);  // throws for one off the grid
    const float number = learned.tensor().at({o});
    return learned_scale(*fake_quant_, number != 0 ? number : start(march, samples), bounds(), march, true);
  }
  const ObserverValue observer = observer_;
  observer->march = march;
  return scale_of_range(*observer, range_of(config_, *observer, samples), march);
}

std::vector<float> WeightQuantizer::scales(const Arithmetic& march, const Tensor& weight) const {
  const int64_t outputs = weight.size(0);
  std::vector<float> result(outputs);
  const int64_t grain = std::max<int64_t>(1, (1 << 14) / (weight.elements() / outputs));
  parallel_for(outputs, grain, [&](int64_t begin, int64_t end) {
    for (int64_t o = begin; o < end; ++o) try {
        result[o] = scale_of(march, weight, o);
      } catch (const Error& error) {
        fail(name_, ": weights of output channel ", o, ": ", error.what());
      }
  });
  return result;
}

QuantizedWeights WeightQuantizer::quantize(const Arithmetic& march, const Tensor& weight, const Tensor& bias,
                                           float x_scale, const Grid* skip) const {
  const int64_t outputs = weight.size(0);
  const float* b = bias.data<float>();
  QuantizedWeights result{
      Tensor::empty(weight.shape(), DType::int8), scales(march, weight), std::vector<int32_t>(outputs), {}};
  for (int64_t o = 0; o < outputs; ++o) try {
      result.scales[o] = effective_weight_scale(march, result.scales[o], x_scale, b[o], skip);
      result.bias[o] = quantize_bias(b[o], x_scale, result.scales[o]);
    } catch (const Error& error) {
      fail(name_, ": weights of output channel ", o, ": ", error.what());
    }
  const bool everywhere = observer_->full_range() && !learned.defined();
  sinter::quant::quantize(weight, result.scales, bounds(), march.rounding, result.values,
                          everywhere ? nullptr : &result.mask, fake_quant_->strictly_inside());
  return result;
}

void WeightQuantizer::train(const Tensor& weight) const {
  if (!learned.defined()) return;
  Tensor numbers = learned.tensor();
  const auto current = numbers.values<float>();
  if (std::none_of(current.begin(), current.end(), [](float v) { return v == 0; })) return;
  float* out = sinter::detail::Access::write<float>(numbers);
  for (int64_t o = 0; o < weight.size(0); ++o) try {
      if (out[o] == 0) out[o] = start(observer_->march, Samples::channel(weight, o));
    } catch (const Error& error) {
      fail(name_, ": weights of output channel ", o, ": ", error.what());
    }
}

void WeightQuantizer::freeze(const Arithmetic& march, const Tensor& weight) const {
  Tensor frozen = frozen_state.tensor();
  frozen.copy_from(Tensor::from({weight.size(0)}, scales(march, weight)));
}

}  // namespace sinter::quant
