#pragma once
// Private: sums that are made a piece at a time, and rescaled while they are in cache.

#include <algorithm>
#include <memory>

#include "../../core/kernel/integers.h"
#include "../../core/parallel.h"
#include "../integer/values.h"
#include "layer.h"

namespace sinter::quant {

/// Values that a thread takes at least.
constexpr int64_t kGrain = 1 << 14;

/// Calls f with the elements of a tensor of int8 or int16.
template <class F>
void with_integers(const Tensor& x, const F& f) {
  x.dtype() == DType::int16 ? f(x.data<int16_t>()) : f(x.data<int8_t>());
}

/// y, by channel where there are as many rescalings as channels, else by one for all, of sums that
/// fill(begin, count, sums) writes and of what it returns, integers of b_type, or null.
template <class Fill>
void rescale_both(const Running& r, const std::vector<Rescaling>& by, DType b_type, Tensor& y, const Fill& fill) {
  // One for all, or whole rows of channels.
  const auto channels = static_cast<int64_t>(by.size());
  const auto rescaler = r.march.datapath->rescaler({std::vector<int32_t>(by.size(), 0), by, r.y.bounds});
  const IntegersAt<void> out = integers_at(y);
  constexpr int64_t kPiece = 1 << 11;
  const int64_t elements = y.elements(), each = channels * std::max<int64_t>(1, kPiece / channels);
  parallel_for((elements + each - 1) / each, std::max<int64_t>(1, kGrain / each), [&](int64_t begin, int64_t end) {
    const auto sums = std::make_unique_for_overwrite<int32_t[]>(static_cast<size_t>(std::min(each, elements)));
    for (int64_t at = begin * each; at < std::min(end * each, elements); at += each) {
      const int64_t count = std::min(each, elements - at);
      const void* b = fill(at, count, sums.get());
      rescaler->run({.count = channels == 1 ? 1 : count / channels,
                     .length = channels == 1 ? count : channels,
                     .acc = sums.get(),
                     .b = b,
                     .b_type = b_type,
                     .y = out.at(at),
                     .y_type = out.type});
    }
  });
}

/// The same of sums that fill(begin, count, sums) writes and of `skip` (or none).
template <class Fill>
void rescale(const Running& r, const std::vector<Rescaling>& by, const Tensor& skip, Tensor& y, const Fill& fill) {
  const IntegersAt<const void> added = integers_at(skip);
  rescale_both(r, by, added.type, y, [&](int64_t at, int64_t count, int32_t* sums) {
    fill(at, count, sums);
    return added.at(at);
  });
}

/// y of x alone.
inline void rescale(const Running& r, const std::vector<Rescaling>& by, const Tensor& x, Tensor& y) {
  with_integers(x, [&](const auto* in) {
    rescale(r, by, Tensor(), y,
            [in](int64_t at, int64_t count, int32_t* sums) { kernel::integers_of(in).widen(in + at, count, sums); });
  });
}

}  // namespace sinter::quant
