#include "../../../core/kernel/integers.h"

#include <cmath>
#include <limits>

#include "../../../core/random.h"
#include "../../support.h"
#include "tables.h"

using namespace sinter;
using kernel::IntegerKernels;
using kernel::Rounded;

namespace {

std::vector<const IntegerKernels*> tables() {
  auto all = RUNNABLE_TABLES(IntegerKernels, kernel::integer_kernels);
  all.push_back(&kernel::integer_kernels_baseline);
  return all;
}

template <class T>
const kernel::IntegersOf<T>& of(const IntegerKernels& k) {
  if constexpr (sizeof(T) == 1)
    return k.bytes;
  else
    return k.words;
}

// All of T's range, its ends among them.
template <class T>
std::vector<T> values(int64_t count, uint64_t seed) {
  Random random(seed, stream_of("integer kernel"));
  std::vector<T> x;
  for (int64_t i = 0; i < count; ++i) x.push_back(static_cast<T>(random.bits()));
  if (count > 1) {
    x[0] = std::numeric_limits<T>::min();
    x[1] = std::numeric_limits<T>::max();
  }
  return x;
}

// By the floating-point environment's own rounding, in long double, which holds what is summed here.
int64_t expected(long double v, const Rounded& r) {
  v = std::min<long double>(std::max<long double>(v, r.low), r.high);
  if (r.to == Rounded::To::even) return static_cast<int64_t>(std::nearbyint(v));
  return static_cast<int64_t>(std::floor(r.to == Rounded::To::half_up ? v + 0.5L : v));
}

template <class T>
void check_windows() {
  for (const int64_t channels : {1, 3, 8, 16, 33, 64})
    for (const int64_t step : {channels, 2 * channels}) {
      const int64_t outputs = 7;
      const auto x = values<T>(step * outputs, 3), start = values<T>(channels * outputs, 4);
      const std::vector<int32_t> wide(x.begin(), x.end()), from(start.begin(), start.end());
      for (const auto* k : tables()) {
        auto most = start;
        auto sums = from, all = wide;
        auto limited = x;
        of<T>(*k).largest(x.data(), step, channels, outputs, most.data());
        k->sums(wide.data(), step, channels, outputs, sums.data());
        of<T>(*k).accumulate(x.data(), step * outputs, all.data());
        const auto other = values<T>(step * outputs, 8);
        std::vector<int32_t> widened(x.size()), product(x.size()), above(x.size());
        std::vector<T> below(x.size());
        of<T>(*k).widen(x.data(), step * outputs, widened.data());
        of<T>(*k).product(x.data(), other.data(), step * outputs, product.data());
        of<T>(*k).split(x.data(), step * outputs, above.data(), below.data());
        of<T>(*k).clamp(x.data(), step * outputs, -5, 100, limited.data());
        int64_t wrong = 0;
        for (int64_t o = 0; o < outputs; ++o)
          for (int64_t c = 0; c < channels; ++c) {
            const auto at = static_cast<size_t>(o * channels + c), in = static_cast<size_t>(o * step + c);
            wrong += most[at] != std::max(start[at], x[in]);
            wrong += sums[at] != from[at] + wide[in];
          }
        for (size_t i = 0; i < x.size(); ++i) {
          wrong += all[i] != 2 * wide[i];
          wrong += widened[i] != wide[i] || product[i] != wide[i] * int32_t{other[i]};
          wrong += above[i] != std::max(wide[i], 0) || below[i] != std::min<T>(x[i], 0);
          wrong += limited[i] != std::clamp<T>(x[i], -5, 100);
        }
        CHECK(wrong == 0);
      }
    }
}

template <class T>
void check_blends() {
  const int64_t low[] = {0, 0, 1}, high[] = {0, 1, 2};
  for (const int32_t weight : {0, 1 << 13, 12345, 32768}) {
    const int32_t left[] = {32768, 32768 - weight, 1 << 14}, right[] = {0, weight, 1 << 14};
    for (const int64_t channels : {1, 5, 8, 17, 64, 300})
      for (const auto to : {Rounded::To::even, Rounded::To::half_up, Rounded::To::down}) {
        const Rounded r{std::numeric_limits<T>::min(), std::numeric_limits<T>::max(), to};
        const auto above = values<T>(3 * channels, 5), below = values<T>(3 * channels, 6);
        // Exact in float for bytes whose weights have few bits.
        const bool in_float = sizeof(T) == 1 && weight % (1 << 13) == 0;
        for (const auto* k : tables()) {
          std::vector<int32_t> upper(above.size()), lower(above.size());
          std::vector<T> y(above.size());
          of<T>(*k).blend_columns(above.data(), low, high, left, right, channels, 3, upper.data());
          of<T>(*k).blend_columns(below.data(), low, high, left, right, channels, 3, lower.data());
          of<T>(*k).blend_rows(upper.data(), lower.data(), 0.25 / 32768, 0.75 / 32768, in_float, 3 * channels, r,
                               y.data());
          int64_t wrong = 0;
          for (int64_t o = 0; o < 3; ++o)
            for (int64_t c = 0; c < channels; ++c) {
              const auto row = [&](const std::vector<T>& x) {
                return static_cast<long double>(x[static_cast<size_t>(low[o] * channels + c)]) * left[o] +
                       static_cast<long double>(x[static_cast<size_t>(high[o] * channels + c)]) * right[o];
              };
              const auto at = static_cast<size_t>(o * channels + c);
              wrong += static_cast<long double>(upper[at]) != row(above);
              wrong += y[at] != expected((row(above) * 0.25L + row(below) * 0.75L) / 32768, r);
            }
          CHECK(wrong == 0);
        }
      }
  }
}

}  // namespace

TEST_CASE("the largest values and the sums of windows are those of plain loops") {
  check_windows<int8_t>();
  check_windows<int16_t>();
}

TEST_CASE("integers between four others are exact and rounded once") {
  check_blends<int8_t>();
  check_blends<int16_t>();
}

TEST_CASE("every entry of a table is found") {
  const auto table = values<int8_t>(256, 7);
  for (const int64_t count : {1, 31, 32, 33, 1000}) {
    std::vector<int8_t> x;
    for (int64_t i = 0; i < count; ++i) x.push_back(static_cast<int8_t>(i * 7 - 128));
    for (const auto* k : tables()) {
      std::vector<int8_t> y(x.size());
      k->look_up(table.data(), x.data(), count, y.data());
      int64_t wrong = 0;
      for (size_t i = 0; i < x.size(); ++i) wrong += y[i] != table[static_cast<size_t>(x[i] + 128)];
      CHECK(wrong == 0);
    }
  }
}
