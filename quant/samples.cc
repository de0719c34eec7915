#include "samples.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <mutex>

#include "../core/error.h"
#include "../core/kernel/elementwise.h"

namespace sinter::quant {

Samples::Samples(const Tensor& x) : count_(x.elements()) {
  // The tensor is captured: its elements live as long as the samples.
  fill_ = [x, data = x.data<float>()](int64_t begin, int64_t, float*) { return data + begin; };
}

Samples::Samples(std::vector<Tensor> pieces) : count_(0) {
  std::vector<int64_t> ends;
  for (const Tensor& piece : pieces) ends.push_back(count_ += piece.elements());
  fill_ = [pieces = std::move(pieces), ends = std::move(ends)](int64_t begin, int64_t end, float* buffer) {
    auto i = static_cast<size_t>(std::upper_bound(ends.begin(), ends.end(), begin) - ends.begin());
    for (int64_t at = begin; at < end; ++i) {
      const int64_t first = i == 0 ? 0 : ends[i - 1], until = std::min(ends[i], end);
      const float* data = pieces[i].data<float>() - first;
      std::copy(data + at, data + until, buffer + (at - begin));
      at = until;
    }
    return static_cast<const float*>(buffer);
  };
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

// The sum of f(x), by several sums: one would wait for every addition.
template <class F>
double sum_of(const float* x, int64_t count, const F& f) {
  constexpr int kSums = 16;
  double sums[kSums] = {}, total = 0;
  int64_t i = 0;
  for (; i + kSums <= count; i += kSums)
    for (int j = 0; j < kSums; ++j) sums[j] += f(static_cast<double>(x[i + j]));
  for (; i < count; ++i) total += f(static_cast<double>(x[i]));
  for (const double sum : sums) total += sum;
  return total;
}

void find_moments(Partial& p, const float* x, int64_t count) {
  find_range(p, x, count);
  p.count = static_cast<double>(count);
  p.sum = sum_of(x, count, [](double v) { return v; });
  p.squares = sum_of(x, count, [mean = p.sum / p.count](double v) { return (v - mean) * (v - mean); });
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

[[noreturn]] void refuse_nan() { fail("the tensor holds NaN, which has no quantised value"); }

void check_values(const Partial& p, int64_t count) {
  check(count > 0, "a tensor without elements has no range");
  if (p.nan) refuse_nan();
  check(std::isfinite(p.min) && std::isfinite(p.max), "the tensor holds an infinity, which no range covers");
}

}  // namespace

Range Samples::range() const {
  if (!range_) {
    const Partial p = reduce(Partial{}, find_range, merge);
    check_values(p, count_);
    range_ = Range{p.min, p.max};
  }
  return *range_;
}

Moments Samples::moments() const {
  const Partial p = reduce(Partial{}, find_moments, merge);
  check_values(p, count_);
  range_ = Range{p.min, p.max};
  return {p.min, p.max, static_cast<float>(p.sum / p.count), static_cast<float>(std::sqrt(p.squares / p.count))};
}

std::vector<int64_t> Samples::histogram(int64_t bins, double limit) const {
  // In double: values of a dead channel may be so small that bins / limit overflows float.
  const double inverse_width = limit > 0 ? static_cast<double>(bins) / limit : 0.0;
  // Several counts of a bin, as most values of an activation fall into few: adding one waits for the last one there.
  const int64_t ways = count_ >= 16 * bins ? 4 : 1;
  constexpr int64_t kBlocks = 1 << 16;    // 32 bits count their values
  std::vector<int64_t> counts(bins + 1);  // the last one is for NaN
  std::mutex mutex;
  parallel_for(blocks(), 1, [&](int64_t first, int64_t last) {
    std::vector<int32_t> index(std::min(count_, kBlock)), here;
    for (int64_t b = first; b < last; b += kBlocks) {
      here.assign(ways * (bins + 1), 0);
      each_block(b, std::min(last, b + kBlocks), [&](int64_t, const float* x, int64_t count) {
        kernel::elementwise_kernels().bins(x, count, inverse_width, static_cast<int32_t>(bins), index.data());
        int64_t i = 0;
        for (; ways == 4 && i + 4 <= count; i += 4)
          for (int64_t way = 0; way < 4; ++way) ++here[way * (bins + 1) + index[i + way]];
        for (; i < count; ++i) ++here[index[i]];
      });
      const std::lock_guard lock(mutex);  // integers: any order gives the same sums
      for (size_t i = 0; i < here.size(); ++i) counts[i % counts.size()] += here[i];
    }
  });
  if (counts.back() > 0) refuse_nan();
  counts.pop_back();
  return counts;
}

std::vector<double> Samples::squared_errors(std::span<const float> scales, const Bounds& type) const {
  const auto low = static_cast<float>(type.low), high = static_cast<float>(type.high);
  // All scales on one block, which stays in cache.
  return reduce(
      std::vector<double>(scales.size()),
      [&](std::vector<double>& errors, const float* x, int64_t count) {
        for (size_t i = 0; i < scales.size(); ++i) {
          const double scale = scales[i];
          errors[i] = scale * scale * kernel::elementwise_kernels().squared_error(x, count, 1 / scales[i], low, high);
        }
      },
      [](std::vector<double>& into, const std::vector<double>& from) {
        for (size_t i = 0; i < into.size(); ++i) into[i] += from[i];
      });
}

}  // namespace sinter::quant
