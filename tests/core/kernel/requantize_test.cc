#include "../../../core/kernel/requantize.h"

#include <cmath>

#include "../../../core/kernel/bits.h"
#include "../../../core/random.h"
#include "../../support.h"
#include "tables.h"

using namespace sinter;
using kernel::RequantizeArguments;
using kernel::RequantizeKernels;

namespace {

struct Variant {
  bool skip, half_up, mask;
};

// Accumulators of which many end on ties, at bounds or far beyond.
struct Problem {
  static constexpr int64_t kRows = 9;
  std::vector<int32_t> acc;
  std::vector<int8_t> skip;
  std::vector<int32_t> bias;
  std::vector<double> scale, skip_scale, unit;
  std::vector<uint8_t> mask;
  RequantizeArguments arguments;

  Problem(int64_t channels, const Variant& variant)
      : mask(static_cast<size_t>(kRows * kernel::bit_bytes(channels)), 7) {
    Random random(static_cast<uint64_t>(channels), stream_of("requantize kernel"));
    for (int64_t c = 0; c < channels; ++c) {
      bias.push_back(static_cast<int32_t>(random.below(2001) - 1000));
      scale.push_back(c % 2 == 0 ? 0.5 : static_cast<double>(1 + random.below(1 << 15)) * 0x1p-22);
      unit.push_back(c % 2 == 0 ? 0.25 : scale.back() * (1 + 1e-5 * static_cast<double>(random.below(100))));
      skip_scale.push_back(c % 2 == 0 ? 0.25 : static_cast<double>(random.below(1 << 20)) * 0x1p-20);
    }
    for (int64_t i = 0; i < kRows * channels; ++i) {
      acc.push_back(static_cast<int32_t>(random.below(10) == 0 ? random.below(int64_t{1} << 31) - (1 << 30)
                                                               : random.below(3000) - 1500));
      skip.push_back(static_cast<int8_t>(random.below(256) - 128));
    }
    arguments.acc = acc.data();
    arguments.skip = variant.skip ? skip.data() : nullptr;
    arguments.bias = bias.data();
    arguments.scale = scale.data();
    arguments.skip_scale = skip_scale.data();
    arguments.unit = unit.data();
    arguments.skip_unit = 0.3;
    arguments.channels = channels;
    arguments.low = channels % 3 == 0 ? 0 : -128;
    arguments.high = 127;
    arguments.half_up = variant.half_up;
    arguments.mask = variant.mask ? mask.data() : nullptr;
    arguments.above = channels % 3 == 0 ? 0 : -100.5;
    arguments.below = 120.5;
  }

  // Values, then the masks' bytes; the first and the last row are left alone.
  std::vector<int> run(const RequantizeKernels& k) {
    std::vector<int8_t> y(acc.size(), 99);
    std::fill(mask.begin(), mask.end(), uint8_t{7});
    arguments.y = y.data();
    k.run(arguments, 1, kRows - 1);
    std::vector<int> all(y.begin(), y.end());
    all.insert(all.end(), mask.begin(), mask.end());
    return all;
  }

  // The same in plain words.
  std::vector<int> plain() const {
    const RequantizeArguments& a = arguments;
    const int64_t bytes = kernel::bit_bytes(a.channels);
    std::vector<int> y(acc.size(), 99), masks(mask.size(), 7);
    if (a.mask != nullptr) std::fill(masks.begin() + bytes, masks.end() - bytes, 0);
    for (size_t i = static_cast<size_t>(a.channels); i < acc.size() - static_cast<size_t>(a.channels); ++i) {
      const size_t c = i % static_cast<size_t>(a.channels);
      double v = (acc[i] + bias[c]) * scale[c];
      if (a.skip != nullptr) v += skip[i] * skip_scale[c];
      const auto rounded = [&](double r) { return a.half_up ? std::floor(r + 0.5) : std::nearbyint(r); };
      y[i] = static_cast<int>(rounded(std::fmin(std::fmax(v, a.low), a.high)));
      double real = (acc[i] + bias[c]) * unit[c];
      if (a.skip != nullptr) real += skip[i] * a.skip_unit;
      if (a.mask != nullptr) masks[i / a.channels * bytes + c / 8] |= (real > a.above && real < a.below) << c % 8;
    }
    y.insert(y.end(), masks.begin(), masks.end());
    return y;
  }
};

}  // namespace

TEST_CASE("requantisation has the same bits on every instruction set") {
  for (const int64_t channels : {1, 3, 7, 8, 16, 21, 64, 67})
    for (const bool skip : {false, true})
      for (const bool half_up : {false, true})
        for (const bool mask : {false, true}) {
          CAPTURE(channels);
          CAPTURE(skip);
          CAPTURE(half_up);
          CAPTURE(mask);
          Problem problem(channels, {skip, half_up, mask});
          const auto expected = problem.run(kernel::requantize_kernels_baseline);
          CHECK(expected == problem.plain());
          for (const auto* table : RUNNABLE_TABLES(RequantizeKernels, kernel::requantize_kernels))
            CHECK(problem.run(*table) == expected);
        }
}
