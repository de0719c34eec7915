#include "../../../core/kernel/integers.h"

#include <cmath>
#include <limits>

#include "../../../core/random.h"
#include "../../support.h"
#include "tables.h"

using namespace sinter;
using kernel::IntegerKernels;
using kernel::ShiftTo;

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
int64_t expected(long double v, ShiftTo to) {
  if (to == ShiftTo::even) return static_cast<int64_t>(std::nearbyint(v));
  return static_cast<int64_t>(std::floor(to == ShiftTo::half_up ? v + 0.5L : v));
}

template <class T>
void check_windows() {
  for (const int64_t channels : {1, 3, 8, 16, 33, 64})
    for (const int64_t step : {channels, 2 * channels}) {
      const int64_t outputs = 7;
      const auto x = values<T>(step * outputs, 3), start = values<T>(channels * outputs, 4);
      const std::vector<int32_t> wide(x.begin(), x.end()), from(start.begin(), start.end());
      for (const auto* k : tables()) {
        auto most = start, fewest = start;
        auto sums = from, all = wide;
        auto limited = x;
        of<T>(*k).largest(x.data(), step, channels, outputs, most.data());
        of<T>(*k).least(x.data(), step, channels, outputs, fewest.data());
        k->sums(wide.data(), step, channels, outputs, sums.data());
        of<T>(*k).accumulate(x.data(), step * outputs, all.data());
        const auto other = values<T>(step * outputs, 8);
        const auto weights = values<int8_t>(step * outputs, 10);
        auto products = all;
        std::vector<float> real(x.size());
        of<T>(*k).real(x.data(), 0.3f, step * outputs, real.data());
        of<T>(*k).accumulate_products(x.data(), weights.data(), step * outputs, products.data());
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
            wrong += fewest[at] != std::min(start[at], x[in]);
            wrong += sums[at] != from[at] + wide[in];
          }
        for (size_t i = 0; i < x.size(); ++i) {
          wrong += all[i] != 2 * wide[i] || products[i] != all[i] + wide[i] * weights[i];
          wrong += real[i] != static_cast<float>(x[i]) * 0.3f;
          wrong += widened[i] != wide[i] || product[i] != wide[i] * int32_t{other[i]};
          wrong += above[i] != std::max(wide[i], 0) || below[i] != std::min<T>(x[i], 0);
          wrong += limited[i] != std::clamp<T>(x[i], -5, 100);
        }
        CHECK(wrong == 0);
      }
    }
}

// Weights of so many bits, in each of whose middles are ties.
template <class T>
void check_blends(int bits) {
  const int64_t low[] = {0, 0, 1}, high[] = {0, 1, 2};
  const int32_t one = int32_t{1} << bits, some = one * 3 / 8, half = one / 2;
  for (const int32_t weight : {0, 1, some, half, one})
    for (const int32_t down : {0, 1, some, half, one - 1, one}) {
      CAPTURE(weight);
      CAPTURE(down);
      const int32_t left[] = {one, one - weight, half}, right[] = {0, weight, one - half};
      for (const int64_t channels : {1, 5, 8, 17, 64, 300})
        for (const auto to : {ShiftTo::even, ShiftTo::half_up, ShiftTo::down}) {
          auto above = values<T>(3 * channels, 5), below = values<T>(3 * channels, 6);
          std::swap(below[0], below[static_cast<size_t>(channels > 1)]);  // the ends of the range beside each other
          for (const auto* k : tables()) {
            std::vector<int32_t> upper(above.size()), lower(above.size());
            std::vector<T> y(above.size());
            of<T>(*k).blend_columns(above.data(), low, high, left, right, channels, 3, upper.data());
            of<T>(*k).blend_columns(below.data(), low, high, left, right, channels, 3, lower.data());
            of<T>(*k).blend_rows(upper.data(), lower.data(), down, bits, to, 3 * channels, y.data());
            int64_t wrong = 0;
            for (int64_t o = 0; o < 3; ++o)
              for (int64_t c = 0; c < channels; ++c) {
                const auto row = [&](const std::vector<T>& x) {
                  return static_cast<long double>(x[static_cast<size_t>(low[o] * channels + c)]) * left[o] +
                         static_cast<long double>(x[static_cast<size_t>(high[o] * channels + c)]) * right[o];
                };
                const auto at = static_cast<size_t>(o * channels + c);
                wrong += static_cast<long double>(upper[at]) != row(above);
                wrong += y[at] != expected(std::ldexp(row(above) * (one - down) + row(below) * down, -2 * bits), to);
              }
            CHECK(wrong == 0);
          }
        }
    }
}

}  // namespace

TEST_CASE("the largest and least values and the sums of windows are those of plain loops") {
  check_windows<int8_t>();
  check_windows<int16_t>();
}

TEST_CASE("integers between four others are exact and rounded once") {
  for (const int bits : {1, 8, 15, 16}) {
    check_blends<int8_t>(bits);
    check_blends<int16_t>(bits);
  }
}

TEST_CASE("values are gathered at any step") {
  const auto check = []<class T>(T) {
    for (const int64_t step : {1, 2, 3, 4, 9, 16})
      for (const int64_t count : {1, 7, 32, 33, 200}) {
        const auto x = values<T>((count - 1) * step + 1, 9);  // and not one more
        for (const auto* k : tables()) {
          std::vector<T> y(static_cast<size_t>(count));
          of<T>(*k).gather(x.data(), step, count, y.data());
          int64_t wrong = 0;
          for (int64_t i = 0; i < count; ++i) wrong += y[static_cast<size_t>(i)] != x[static_cast<size_t>(i * step)];
          CHECK(wrong == 0);
        }
      }
  };
  check(int8_t{});
  check(int16_t{});
}

template <class T, class LookUp>
void check_look_up(const LookUp& look_up) {
  constexpr int64_t kEntries = int64_t{1} << (8 * sizeof(T));
  const auto table = values<T>(kEntries, 7);
  for (const int64_t count : {1, 15, 31, 32, 33, 1000}) {
    std::vector<T> x;
    for (int64_t i = 0; i < count; ++i) x.push_back(static_cast<T>(i * 7 - kEntries / 2));
    x.back() = std::numeric_limits<T>::max();
    for (const auto* k : tables()) {
      std::vector<T> y(x.size());
      (k->*look_up)(table.data(), x.data(), count, y.data());
      int64_t wrong = 0;
      for (size_t i = 0; i < x.size(); ++i) wrong += y[i] != table[static_cast<size_t>(x[i] + kEntries / 2)];
      CHECK(wrong == 0);
    }
  }
}

TEST_CASE("every entry of a table is found") {
  check_look_up<int8_t>(&IntegerKernels::look_up);
  check_look_up<int16_t>(&IntegerKernels::look_up_words);
}
