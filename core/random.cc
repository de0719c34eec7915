#include "random.h"

#include <algorithm>
#include <cmath>
#include <numbers>

#include "error.h"
#include "parallel.h"

namespace sinter {

std::array<uint32_t, 4> philox(uint64_t key, uint64_t counter_low, uint64_t counter_high) {
  uint32_t c0 = static_cast<uint32_t>(counter_low), c1 = static_cast<uint32_t>(counter_low >> 32);
  uint32_t c2 = static_cast<uint32_t>(counter_high), c3 = static_cast<uint32_t>(counter_high >> 32);
  uint32_t k0 = static_cast<uint32_t>(key), k1 = static_cast<uint32_t>(key >> 32);
  for (int round = 0; round < 10; ++round) {
    const uint64_t p0 = uint64_t{0xD2511F53} * c0, p1 = uint64_t{0xCD9E8D57} * c2;
    c0 = static_cast<uint32_t>(p1 >> 32) ^ c1 ^ k0;
    c1 = static_cast<uint32_t>(p1);
    c2 = static_cast<uint32_t>(p0 >> 32) ^ c3 ^ k1;
    c3 = static_cast<uint32_t>(p0);
    k0 += 0x9E3779B9;
    k1 += 0xBB67AE85;
  }
  return {c0, c1, c2, c3};
}

uint32_t Random::bits() {
  const uint64_t index = position_ / 4;
  if (index != block_index_) {
    block_ = philox(seed_, index, stream_);
    block_index_ = index;
  }
  return block_[position_++ % 4];
}

double Random::uniform() { return (bits() >> 8) * 0x1p-24; }

int64_t Random::below(int64_t count) {
  check(count >= 1, "random: below ", count, ", expected at least 1");
  const auto range = static_cast<uint64_t>(count);
  // Values past the last whole multiple of the range would favour small results.
  const uint64_t limit = ~uint64_t{0} - ~uint64_t{0} % range;
  uint64_t value;
  do {
    value = bits();
    value |= uint64_t{bits()} << 32;
  } while (value >= limit);
  return static_cast<int64_t>(value % range);
}

uint64_t stream_of(std::string_view text) {
  uint64_t hash = 0xcbf29ce484222325;
  for (const char c : text) hash = (hash ^ static_cast<unsigned char>(c)) * 0x100000001b3;
  return hash;
}

namespace {

// f(four random words, first element, number of elements up to four), from the next whole block on.
template <class T, class F>
void fill(std::span<T> out, Random& random, const F& f) {
  random.skip((4 - random.position() % 4) % 4);
  const auto count = static_cast<int64_t>(out.size());
  const uint64_t first = random.position() / 4;
  parallel_for((count + 3) / 4, 1 << 10, [&](int64_t begin, int64_t end) {
    for (int64_t block = begin; block < end; ++block) {
      const auto words = philox(random.seed(), first + static_cast<uint64_t>(block), random.stream());
      f(words, out.subspan(block * 4, std::min<size_t>(4, out.size() - block * 4)));
    }
  });
  random.skip(static_cast<uint64_t>((count + 3) / 4 * 4));
}

}  // namespace

void fill_uniform(std::span<float> out, Random& random, double low, double high) {
  // Rounding to float may reach `high`, which is not in the range.
  const float last =
      high > low ? std::nextafter(static_cast<float>(high), static_cast<float>(low)) : static_cast<float>(low);
  fill(out, random, [&](const std::array<uint32_t, 4>& words, std::span<float> four) {
    for (size_t i = 0; i < four.size(); ++i)
      four[i] = std::min(last, static_cast<float>(low + (high - low) * ((words[i] >> 8) * 0x1p-24)));
  });
}

void fill_normal(std::span<float> out, Random& random, double std) {
  fill(out, random, [&](const std::array<uint32_t, 4>& words, std::span<float> four) {
    for (size_t i = 0; i < four.size(); ++i) {
      const size_t pair = i / 2 * 2;
      const double radius = std::sqrt(-2 * std::log((words[pair] + 1.0) * 0x1p-32));
      const double angle = 2 * std::numbers::pi * (words[pair + 1] * 0x1p-32);
      four[i] = static_cast<float>(std * radius * (i % 2 == 0 ? std::cos(angle) : std::sin(angle)));
    }
  });
}

void fill_bernoulli(std::span<uint8_t> out, Random& random, double probability) {
  const auto below = static_cast<uint64_t>(std::clamp(probability, 0.0, 1.0) * 0x1p32);
  fill(out, random, [&](const std::array<uint32_t, 4>& words, std::span<uint8_t> four) {
    for (size_t i = 0; i < four.size(); ++i) four[i] = words[i] < below ? 1 : 0;
  });
}

namespace {
thread_local Random generator(0);
}

Random& default_random() { return generator; }
void manual_seed(uint64_t seed) { generator = Random(seed); }

}  // namespace sinter
