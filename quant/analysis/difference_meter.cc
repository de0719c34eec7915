#include "difference_meter.h"

#include <algorithm>
#include <cmath>
#include <mutex>
#include <span>

#include "../../core/parallel.h"
#include "statistics.h"

namespace sinter::quant {

namespace {

constexpr int64_t kGrain = 1 << 14;  // values that a thread is worth

using Sums = DifferenceMeter::Sums;

// Real values at and beyond which an integer is at a bound.
struct Limits {
  double low = -std::numeric_limits<double>::infinity(), high = std::numeric_limits<double>::infinity(), unit = 0;

  explicit Limits(const StageValue& b) {
    if (b.scale <= 0) return;
    unit = static_cast<double>(b.scale);
    if (b.bounds.low < 0) low = unit * (b.bounds.low + 0.5);
    if (static_cast<double>(b.ceiling) > unit * (b.bounds.high + 0.5)) high = unit * (b.bounds.high - 0.5);
  }
};

// By channel of one image.
struct Channels {
  std::span<float> reach_a, reach_b;
  std::span<double> errors;
};

Sums measure(const float* a, const float* b, int64_t positions, const Limits& limits, const Channels& channels) {
  Sums sums;
  for (int64_t i = 0; i < positions; ++i)
    for (size_t c = 0; c < channels.errors.size(); ++c, ++a, ++b) {
      const double x = static_cast<double>(*a), y = static_cast<double>(*b), error = y - x;
      sums.a.sum += x;
      sums.a.squares += x * x;
      sums.b.sum += y;
      sums.b.squares += y * y;
      sums.products += x * y;
      sums.errors += std::abs(error);
      sums.squared_errors += error * error;
      sums.max_error = std::max(sums.max_error, std::abs(error));
      if (y >= limits.high || y <= limits.low) {
        ++sums.saturated;
        if ((y > 0 ? -error : error) > limits.unit) sums.clipping += error * error;
      }
      sums.a.min = std::min(sums.a.min, *a);
      sums.a.max = std::max(sums.a.max, *a);
      sums.b.min = std::min(sums.b.min, *b);
      sums.b.max = std::max(sums.b.max, *b);
      channels.reach_a[c] = std::max(channels.reach_a[c], std::abs(*a));
      channels.reach_b[c] = std::max(channels.reach_b[c], std::abs(*b));
      channels.errors[c] += error;
    }
  return sums;
}

void merge(DifferenceMeter::Moments& into, const DifferenceMeter::Moments& from) {
  into.sum += from.sum;
  into.squares += from.squares;
  into.min = std::min(into.min, from.min);
  into.max = std::max(into.max, from.max);
}

void merge(Sums& into, const Sums& from) {
  merge(into.a, from.a);
  merge(into.b, from.b);
  into.products += from.products;
  into.errors += from.errors;
  into.squared_errors += from.squared_errors;
  into.clipping += from.clipping;
  into.max_error = std::max(into.max_error, from.max_error);
  into.saturated += from.saturated;
}

}  // namespace

void DifferenceMeter::add(const Tensor& a, const StageValue& b) {
  if (a.elements() == 0) return;
  const int64_t images = a.size(0), each = a.elements() / images;
  const int64_t channels = a.rank() > 1 ? a.shape()[-1] : 1;
  reach_a_.resize(channels, 0);
  reach_b_.resize(channels, 0);
  errors_.resize(channels, 0);
  std::vector<Sums> parts(images);
  std::vector<float> reach_a(images * channels, 0), reach_b(images * channels, 0);
  std::vector<double> errors(images * channels, 0);
  const Limits limits(b);
  parallel_for(images, std::max<int64_t>(1, kGrain / each), [&](int64_t begin, int64_t end) {
    for (int64_t n = begin; n < end; ++n) {
      const auto of_image = [&](auto& all) { return std::span(all).subspan(n * channels, channels); };
      parts[n] = measure(a.data<float>() + n * each, b.values.data<float>() + n * each, each / channels, limits,
                         {of_image(reach_a), of_image(reach_b), of_image(errors)});
    }
  });
  for (const Sums& part : parts) merge(sums_, part);
  for (int64_t i = 0; i < images * channels; ++i) {
    const int64_t c = i % channels;
    reach_a_[c] = std::max(reach_a_[c], reach_a[i]);
    reach_b_[c] = std::max(reach_b_[c], reach_b[i]);
    errors_[c] += errors[i];
  }
  check(std::isfinite(sums_.a.squares) && std::isfinite(sums_.b.squares), "compare: ", b.node,
        " holds NaN or infinities");
  if (b.scale > 0) note_levels(b);
  values_ += a.elements();
}

void DifferenceMeter::note_levels(const StageValue& b) {
  const double inverse = 1 / static_cast<double>(b.scale);
  const int64_t low = b.bounds.low, count = b.bounds.high - low + 1;
  levels_.resize(count, false);
  const float* y = b.values.data<float>();
  std::mutex mutex;
  parallel_for(b.values.elements(), kGrain, [&](int64_t begin, int64_t end) {
    std::vector<bool> here(count, false);
    for (int64_t i = begin; i < end; ++i)
      here[std::clamp<int64_t>(std::llround(static_cast<double>(y[i]) * inverse) - low, 0, count - 1)] = true;
    const std::lock_guard lock(mutex);  // a union: any order gives the same
    for (int64_t i = 0; i < count; ++i) levels_[i] = levels_[i] || here[i];
  });
}

Spread DifferenceMeter::spread(const Moments& moments, const std::vector<float>& reach) const {
  if (values_ == 0) return {};
  const auto count = static_cast<double>(values_);
  const ChannelRatio ratio = channel_ratio(reach);
  return {.min = static_cast<double>(moments.min),
          .max = static_cast<double>(moments.max),
          .mean = moments.sum / count,
          .rms = std::sqrt(moments.squares / count),
          .channels = static_cast<int64_t>(reach.size()),
          .dead_channels = ratio.dead,
          .widest_channel = ratio.widest,
          .channel_ratio = ratio.ratio};
}

Difference DifferenceMeter::difference(double unit) const {
  Difference d;
  const Agreement agreement = agreement_of(sums_.a.squares, sums_.b.squares, sums_.products, sums_.squared_errors);
  d.cosine = agreement.cosine;
  d.noise = agreement.noise;
  d.sqnr = agreement.sqnr;
  if (values_ == 0) return d;
  const auto count = static_cast<double>(values_);
  d.max_error = sums_.max_error / unit;
  d.mean_error = sums_.errors / count / unit;
  d.saturated = static_cast<double>(sums_.saturated) / count;
  if (sums_.squared_errors > 0) {
    double constant = 0;
    for (const double error : errors_) constant += error * error;
    d.shift = constant / (count / static_cast<double>(errors_.size())) / sums_.squared_errors;
    d.clipping = sums_.clipping / sums_.squared_errors;
  }
  if (!levels_.empty())
    d.used_levels =
        static_cast<double>(std::count(levels_.begin(), levels_.end(), true)) / static_cast<double>(levels_.size());
  return d;
}

}  // namespace sinter::quant
