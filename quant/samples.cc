#include "samples.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "../core/error.h"
#include "../core/kernel/elementwise.h"

namespace sinter::quant {

Samples::Samples(const Tensor& x) : count_(x.elements()) {
  // The tensor is captured: its elements live as long as the samples.
  fill_ = [x, data = x.data<float>()](int64_t begin, int64_t, float*) { return data + begin; };
}

Samples Samples::channel(const Tensor& weight, int64_t index) {
  const int64_t each = weight.elements() / weight.size(0);
  const float* data = weight.data<float>() + index * each;
  return {each, [weight, data](int64_t begin, int64_t, float*) { return data + begin; }};
}

namespace {

struct Partial {
  float min = std::numeric_limits<float>::infinity(), max = -std::numeric_limits<float>::infinity();
  double sum = 0, squares = 0, count = 0;  // squares around the block's own mean
  bool nan = false;
};

void find_range(Partial& p, const float* x, int64_t count) {
  if (kernel::elementwise_kernels().range(x, count, &p.min, &p.max))
    p.nan = p.nan || std::any_of(x, x + count, [](float v) { return std::isnan(v); });
}

void find_moments(Partial& p, const float* x, int64_t count) {
  find_range(p, x, count);
  double sum = 0;
  for (int64_t i = 0; i < count; ++i) sum += x[i];
  const double mean = sum / static_cast<double>(count);
  double squares = 0;
  for (int64_t i = 0; i < count; ++i) squares += (x[i] - mean) * (x[i] - mean);
  p.sum = sum;
  p.squares = squares;
  p.count = static_cast<double>(count);
}

void merge(Partial& into, const Partial& from) {
  into.min = std::min(into.min, from.min);
  into.max = std::max(into.max, from.max);
  into.nan = into.nan || from.nan;
  if (from.count == 0) return;
  const double delta = into.count == 0 ? 0 : from.sum / from.count - into.sum / into.count;
  const double total = into.count + from.count;
  into.squares += from.squares + delta * delta * into.count * from.count / total;
  into.sum += from.sum;
  into.count = total;
}

void check_values(const Partial& p, int64_t count) {
  check(count > 0, "observer: a tensor without elements has no range");
  check(!p.nan, "observer: the tensor holds NaN, which has no quantised value");
}

}  // namespace

Range Samples::range() const {
  const Partial p = reduce(Partial{}, find_range, merge);
  check_values(p, count_);
  return {p.min, p.max};
}

Moments Samples::moments() const {
  const Partial p = reduce(Partial{}, find_moments, merge);
  check_values(p, count_);
  return {p.min, p.max, static_cast<float>(p.sum / p.count), static_cast<float>(std::sqrt(p.squares / p.count))};
}

std::vector<int64_t> Samples::histogram(int64_t bins, float limit) const {
  // In double: values of a dead channel may be so small that bins / limit overflows float.
  const double inverse_width = limit > 0 ? static_cast<double>(bins) / limit : 0.0;
  return reduce(
      std::vector<int64_t>(bins),
      [&](std::vector<int64_t>& counts, const float* x, int64_t count) {
        for (int64_t i = 0; i < count; ++i) {
          const double at = std::fabs(x[i]) * inverse_width;
          check(!std::isnan(at), "observer: the tensor holds NaN, which has no quantised value");
          ++counts[at < static_cast<double>(bins) ? static_cast<int64_t>(at) : bins - 1];
        }
      },
      [](std::vector<int64_t>& into, const std::vector<int64_t>& from) {
        for (size_t i = 0; i < into.size(); ++i) into[i] += from[i];
      });
}

}  // namespace sinter::quant
