#include "../../../core/kernel/requantize.h"

#include <cmath>

#include "../../../core/kernel/bits.h"
#include "../../../core/random.h"
#include "../../support.h"
#include "tables.h"

using namespace sinter;
using kernel::RequantizeKernels;

namespace {

constexpr int64_t kRows = 9;

enum class Skip { none, bytes, words };

struct Variant {
  Skip skip;
  bool wide;  // the output
};

std::string to_string(const Variant& v) {
  return text(v.skip == Skip::none    ? "no skip"
              : v.skip == Skip::bytes ? "int8 skip"
                                      : "int16 skip",
              " to ", v.wide ? "int16" : "int8");
}

// Accumulators of which many end on ties, at bounds or far beyond.
struct Problem {
  Variant variant;
  int64_t channels;
  std::vector<int32_t> acc, bias, first, second, pre, m, post, half;
  std::vector<int8_t> bytes;
  std::vector<int16_t> words;
  std::vector<double> scale, skip_scale, unit;
  bool uniform = false;
  std::vector<int8_t> narrow;
  std::vector<int16_t> wide;
  std::vector<uint8_t> mask;

  Problem(int64_t count, const Variant& v) : variant(v), channels(count) {
    Random random(static_cast<uint64_t>(channels), stream_of("requantize kernel"));
    for (int64_t c = 0; c < channels; ++c) {
      bias.push_back(static_cast<int32_t>(random.below(2001) - 1000));
      scale.push_back(c % 2 == 0 ? 0.5 : static_cast<double>(1 + random.below(1 << 15)) * 0x1p-22);
      unit.push_back(c % 2 == 0 ? 0.25 : scale.back() * (1 + 1e-5 * static_cast<double>(random.below(100))));
      skip_scale.push_back(c % 2 == 0 ? 0.25 : static_cast<double>(random.below(1 << 20)) * 0x1p-20);
      first.push_back(c % 3 == 0 ? 1 : static_cast<int32_t>(1 << random.below(2)));
      second.push_back(static_cast<int32_t>(random.below(variant.skip == Skip::words ? 1 << 14 : 1 << 22) - 5));
      pre.push_back(static_cast<int32_t>(random.below(18)));
      m.push_back(static_cast<int32_t>(random.below(1 << 16) - (1 << 15)));
      post.push_back(static_cast<int32_t>(c % 4 == 0 ? random.below(3) : random.below(31)));
    }
    for (int64_t i = 0; i < kRows * channels; ++i) {
      acc.push_back(static_cast<int32_t>(random.below(10) == 0 ? random.below(int64_t{1} << 30) - (1 << 29)
                                                               : random.below(3000) - 1500));
      bytes.push_back(static_cast<int8_t>(random.below(256) - 128));
      words.push_back(static_cast<int16_t>(random.below(65536) - 32768));
    }
  }

  int64_t low() const { return channels % 3 == 0 ? 0 : variant.wide ? -32768 : -128; }
  int64_t high() const { return variant.wide ? 32767 : 127; }
  int64_t skip_at(size_t i) const {
    return variant.skip == Skip::none ? 0 : variant.skip == Skip::bytes ? bytes[i] : words[i];
  }

  template <class Arguments>
  Arguments arguments() {
    Arguments a;
    a.acc = acc.data();
    if (variant.skip == Skip::bytes) a.skip = {bytes.data(), false};
    if (variant.skip == Skip::words) a.skip = {words.data(), true};
    a.bias = bias.data();
    a.channels = channels;
    return a;
  }

  // All values of the first rows, the last row left alone.
  template <class Arguments, class Run>
  std::vector<int> values(Arguments a, const Run& run) {
    narrow.assign(acc.size(), 99);
    wide.assign(acc.size(), 99);
    a.low = static_cast<decltype(a.low)>(low());
    a.high = static_cast<decltype(a.high)>(high());
    a.y = {variant.wide ? static_cast<void*>(wide.data()) : narrow.data(), variant.wide};
    run(a, kRows - 1);
    return variant.wide ? std::vector<int>(wide.begin(), wide.end()) : std::vector<int>(narrow.begin(), narrow.end());
  }

  std::vector<int> doubles(const RequantizeKernels& k) {
    auto a = arguments<kernel::DoubleRescale>();
    a.uniform = uniform;
    a.scale = scale.data();
    a.skip_scale = skip_scale.data();
    return values(a, k.doubles);
  }

  // The first channel's numbers for all.
  void make_uniform() {
    uniform = true;
    for (auto* numbers : {&bias, &first, &second, &pre, &m, &post}) numbers->assign(numbers->size(), numbers->front());
    for (auto* numbers : {&scale, &skip_scale}) numbers->assign(numbers->size(), numbers->front());
  }

  std::vector<int> integers(const RequantizeKernels& k, bool staged, bool rounds, bool plain) {
    auto a = arguments<kernel::IntegerRescale>();
    a.uniform = uniform;
    if (!plain) a.first = first.data();
    a.second = second.data();
    a.pre = pre.data();
    a.m = m.data();
    half.clear();
    for (const int32_t shift : post) half.push_back(rounds && shift > 0 ? int32_t{1} << (shift - 1) : 0);
    a.half = half.data();
    a.post = post.data();
    a.staged = staged;
    a.rounds = rounds;
    return values(a, k.integers);
  }

  std::vector<int> masks(const RequantizeKernels& k) {
    auto a = arguments<kernel::MaskArguments>();
    mask.assign(static_cast<size_t>(kRows * kernel::bit_bytes(channels)), 7);
    a.unit = unit.data();
    a.skip_unit = 0.3;
    a.above = channels % 3 == 0 ? 0 : -100.5;
    a.below = 120.5;
    a.mask = mask.data();
    k.mask(a, kRows - 1);
    return {mask.begin(), mask.end()};
  }

  // The same in plain words.
  template <class F>
  std::vector<int> plain(const F& f) const {
    std::vector<int> y(acc.size(), 99);
    for (size_t i = 0; i < acc.size() - static_cast<size_t>(channels); ++i) {
      const size_t c = i % static_cast<size_t>(channels);
      y[i] = static_cast<int>(std::min(std::max<int64_t>(f(int64_t{acc[i]} + bias[c], skip_at(i), c), low()), high()));
    }
    return y;
  }

  std::vector<int> plain_doubles() const {
    return plain([&](int64_t sum, int64_t skip, size_t c) {
      const double v = static_cast<double>(sum) * scale[c] + static_cast<double>(skip) * skip_scale[c];
      return static_cast<int64_t>(std::nearbyint(std::fmin(std::fmax(v, -1e6), 1e6)));
    });
  }

  std::vector<int> plain_integers(bool staged, bool rounds, bool plainly) const {
    return plain([&](int64_t sum, int64_t skip, size_t c) {
      int64_t v = sum * (plainly ? 1 : first[c]) + skip * second[c];
      if (staged) v = std::min<int64_t>(std::max<int64_t>(v >> pre[c], -32768), 32767) * m[c];
      return (v + (rounds && post[c] > 0 ? int64_t{1} << (post[c] - 1) : 0)) >> post[c];
    });
  }

  std::vector<int> plain_masks() const {
    const int64_t row = kernel::bit_bytes(channels);
    std::vector<int> masks(static_cast<size_t>(kRows * row), 7);
    std::fill(masks.begin(), masks.end() - row, 0);
    for (size_t i = 0; i < acc.size() - static_cast<size_t>(channels); ++i) {
      const size_t c = i % static_cast<size_t>(channels);
      double real = static_cast<double>(acc[i] + bias[c]) * unit[c];
      if (variant.skip != Skip::none) real += static_cast<double>(skip_at(i)) * 0.3;
      const bool passes = real > (channels % 3 == 0 ? 0 : -100.5) && real < 120.5;
      masks[i / static_cast<size_t>(channels) * static_cast<size_t>(row) + c / 8] |= passes << c % 8;
    }
    return masks;
  }
};

template <class F>
void each_problem(const F& f) {
  for (const int64_t channels : {1, 3, 7, 8, 16, 21, 64, 67})
    for (const Skip skip : {Skip::none, Skip::bytes, Skip::words})
      for (const bool wide : {false, true})
        for (const bool uniform : {false, true}) {
          const Variant variant{skip, wide};
          CAPTURE(channels);
          CAPTURE(to_string(variant));
          CAPTURE(uniform);
          Problem problem(channels, variant);
          if (uniform) problem.make_uniform();
          f(problem);
        }
}

std::vector<const RequantizeKernels*> tables() {
  auto all = RUNNABLE_TABLES(RequantizeKernels, kernel::requantize_kernels);
  all.push_back(&kernel::requantize_kernels_baseline);
  return all;
}

}  // namespace

TEST_CASE("rescaling in doubles is exact and rounded once, on every instruction set") {
  each_problem([](Problem& p) {
    for (const auto* k : tables()) CHECK(p.doubles(*k) == p.plain_doubles());
  });
}

TEST_CASE("rescaling in lanes of 32 bits is that of 64-bit integers, on every instruction set") {
  each_problem([](Problem& p) {
    for (const bool staged : {false, true})
      for (const bool rounds : {false, true})
        for (const bool plainly : {false, true})
          for (const auto* k : tables())
            CHECK(p.integers(*k, staged, rounds, plainly) == p.plain_integers(staged, rounds, plainly));
  });
}

TEST_CASE("the masks of gradients are the same bits on every instruction set") {
  each_problem([](Problem& p) {
    if (p.variant.wide) return;  // has nothing to do with it
    for (const auto* k : tables()) CHECK(p.masks(*k) == p.plain_masks());
  });
}
