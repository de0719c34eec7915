#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <span>
#include <vector>

#include "../core/parallel.h"
#include "../core/tensor.h"
#include "contract.h"

namespace sinter::quant {

struct Range {
  float min = 0, max = 0;
};

/// Minimum, maximum, mean and (biased) standard deviation.
struct Moments {
  float min = 0, max = 0, mean = 0, std = 0;
};

/// The real values of one tensor in one batch, as an observer sees them. They come in blocks of a fixed size that are
/// merged in order, so that no statistic depends on threads; a block may be computed when it is asked for, so that the
/// accumulators of an integer convolution are observed without a float tensor.
class Samples {
 public:
  static constexpr int64_t kBlock = 1 << 13;
  /// Values begin..end-1, in `buffer` (kBlock floats) or elsewhere.
  using Fill = std::function<const float*(int64_t begin, int64_t end, float* buffer)>;

  Samples(int64_t count, Fill fill) : count_(count), fill_(std::move(fill)) {}
  explicit Samples(const Tensor& x);
  /// One batch that comes in pieces (float32, of any shapes), in this order: every statistic has the bits of the whole.
  explicit Samples(std::vector<Tensor> pieces);
  /// The values of one channel of a weight [O,...]: part `index` of O equal ones.
  static Samples channel(const Tensor& weight, int64_t index);

  int64_t count() const { return count_; }
  /// Throw Error for NaN and infinities. The range is computed once.
  Range range() const;
  Moments moments() const;
  /// Counts of abs(x) in `bins` equal bins over [0, limit]; values beyond count in the last, as limit itself does.
  /// Throws Error for NaN.
  std::vector<int64_t> histogram(int64_t bins, double limit) const;
  /// For each scale the sum of (x - scale q)^2, q the integer of `type` that is nearest to x / scale: of two, either.
  std::vector<double> squared_errors(std::span<const float> scales, const Bounds& type) const;

  /// f(result, values, count) over each block into a copy of `initial`, then merge(into, from) in order.
  template <class Result, class F, class Merge>
  Result reduce(const Result& initial, const F& f, const Merge& merge) const {
    std::vector<Result> partial(blocks(), initial);
    parallel_for(blocks(), 1, [&](int64_t first, int64_t last) {
      each_block(first, last, [&](int64_t b, const float* x, int64_t count) { f(partial[b], x, count); });
    });
    Result result = initial;
    for (const Result& part : partial) merge(result, part);
    return result;
  }

  /// f(begin, values, count) for each block, on all threads.
  template <class F>
  void for_each(const F& f) const {
    parallel_for(blocks(), 1, [&](int64_t first, int64_t last) {
      each_block(first, last, [&](int64_t b, const float* x, int64_t count) { f(b * kBlock, x, count); });
    });
  }

 private:
  int64_t blocks() const { return (count_ + kBlock - 1) / kBlock; }
  /// f(b, values, count) for the blocks first..last-1
  template <class F>
  void each_block(int64_t first, int64_t last, const F& f) const {
    std::vector<float> buffer(count_ < kBlock ? count_ : kBlock);
    for (int64_t b = first; b < last; ++b) {
      const int64_t begin = b * kBlock, end = begin + kBlock < count_ ? begin + kBlock : count_;
      f(b, fill_(begin, end, buffer.data()), end - begin);
    }
  }

  int64_t count_;
  Fill fill_;
  mutable std::optional<Range> range_;  // once it is known
};

}  // namespace sinter::quant
