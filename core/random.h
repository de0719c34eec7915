#pragma once

#include <array>
#include <cstdint>
#include <span>
#include <string_view>

namespace sinter {

/// Philox 4x32-10 (Salmon et al., "Parallel random numbers: as easy as 1, 2, 3", SC 2011): four random words from a
/// key and a counter, without any state.
std::array<uint32_t, 4> philox(uint64_t key, uint64_t counter_low, uint64_t counter_high);

/// Random numbers from a seed and a stream: a position in a Philox sequence. The same seed, stream and position give
/// the same bits everywhere.
class Random {
 public:
  explicit Random(uint64_t seed, uint64_t stream = 0) : seed_(seed), stream_(stream) {}

  uint32_t bits();
  /// Uniform in [0, 1) with 24 bits.
  double uniform();
  /// Uniform in 0..count-1 (count >= 1), without bias.
  int64_t below(int64_t count);

  uint64_t seed() const { return seed_; }
  uint64_t stream() const { return stream_; }
  /// Words drawn so far; `skip` moves on without drawing.
  uint64_t position() const { return position_; }
  void skip(uint64_t words) { position_ += words; }

 private:
  uint64_t seed_, stream_;
  uint64_t position_ = 0;
  std::array<uint32_t, 4> block_{};
  uint64_t block_index_ = ~uint64_t{0};
};

/// A 64-bit stream number from text (node names, parameter names): FNV-1a.
uint64_t stream_of(std::string_view text);

/// Values drawn from `random`, which moves on by a fixed number of words; they do not depend on the number of threads.
/// Uniform in [low, high); normal with mean 0 (Box & Muller 1958); 1 with the given probability, else 0.
void fill_uniform(std::span<float> out, Random& random, double low, double high);
void fill_normal(std::span<float> out, Random& random, double std);
void fill_bernoulli(std::span<uint8_t> out, Random& random, double probability);

/// The generator that layers draw their initial parameters from, and dropout what it drops, one per thread;
/// `manual_seed` restarts it.
Random& default_random();
void manual_seed(uint64_t seed);

}  // namespace sinter
