#include "../../core/random.h"

#include <cmath>
#include <set>
#include <thread>

#include "../../core/parallel.h"
#include "../support.h"

using namespace sinter;

namespace {

using Words = std::array<uint32_t, 4>;

struct Threads {
  explicit Threads(int count) : before(threads()) { set_threads(count); }
  ~Threads() { set_threads(before); }
  int before;
};

std::vector<uint32_t> draw(Random random, int count) {
  std::vector<uint32_t> words;
  for (int i = 0; i < count; ++i) words.push_back(random.bits());
  return words;
}

}  // namespace

TEST_CASE("philox gives the published words") {
  // kat_vectors of Random123, philox4x32-10; the last one's counter and key are digits of pi.
  const uint64_t all = ~uint64_t{0};
  CHECK(philox(0, 0, 0) == Words{0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8});
  CHECK(philox(all, all, all) == Words{0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd});
  CHECK(philox(0x299f31d0a4093822, 0x85a308d3243f6a88, 0x0370734413198a2e) ==
        Words{0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1});
}

TEST_CASE("the words are philox's of seed, position and stream") {
  Random random(3, 5);
  for (uint64_t block = 0; block < 3; ++block)
    for (const uint32_t word : philox(3, block, 5)) CHECK(random.bits() == word);
  CHECK(random.position() == 12);
  CHECK(random.seed() == 3);
  CHECK(random.stream() == 5);
}

TEST_CASE("a skip is as good as drawing") {
  const std::vector<uint32_t> words = draw(Random(1), 40);
  for (const uint64_t skipped : {0, 1, 3, 4, 5, 17}) {
    CAPTURE(skipped);
    Random random(1);
    random.bits();
    random.skip(skipped);
    CHECK(random.bits() == words[1 + skipped]);
  }
}

TEST_CASE("seeds and streams are independent of each other") {
  std::set<std::vector<uint32_t>> seen;
  for (uint64_t seed = 0; seed < 4; ++seed)
    for (uint64_t stream = 0; stream < 4; ++stream) seen.insert(draw(Random(seed, stream), 4));
  CHECK(seen.size() == 16);
  // FNV-1a's published values.
  CHECK(stream_of("") == 0xcbf29ce484222325);
  CHECK(stream_of("a") == 0xaf63dc4c8601ec8c);
  CHECK(stream_of("foobar") == 0x85944171f73967e8);
}

TEST_CASE("below covers its range evenly") {
  Random random(7);
  constexpr int kCount = 6, kDraws = 12'000;
  std::vector<int> seen(kCount);
  for (int i = 0; i < kDraws; ++i) {
    const int64_t value = random.below(kCount);
    REQUIRE(value >= 0);
    REQUIRE(value < kCount);
    ++seen[static_cast<size_t>(value)];
  }
  double chi = 0;
  for (const int n : seen) chi += std::pow(n - kDraws / kCount, 2) / (kDraws / kCount);
  CHECK(chi < 20.5);  // the 99.9th percentile of chi squared with 5 degrees of freedom
  for (int i = 0; i < 10; ++i) CHECK(random.below(1) == 0);
  CHECK_ERROR(random.below(0), "random: below 0, expected at least 1");
}

TEST_CASE("below does not favour the small of a large range") {
  // 2^64 holds this range 2 2/3 times: plain remainders would put 3/8 of the draws into its first third.
  const int64_t count = 3 * (int64_t{1} << 61);
  Random random(8);
  int low = 0;
  for (int i = 0; i < 9000; ++i) low += random.below(count) < count / 3;
  CHECK(std::abs(low - 3000) < 150);  // three standard deviations and more; 3/8 would be 3375
}

TEST_CASE("values do not depend on the number of threads, and move the position by a fixed number of words") {
  for (const int64_t count : {1, 7, 100'003}) {
    CAPTURE(count);
    const auto fill = [&](int threads, bool normal) {
      const Threads guard(threads);
      Random random(9, 2);
      random.bits();
      Tensor x = normal ? Tensor::normal({count}, random) : Tensor::uniform({count}, random, -1, 2);
      CHECK(random.position() == 4 + static_cast<uint64_t>(count + 3) / 4 * 4);
      return x;
    };
    for (const bool normal : {false, true}) {
      const Tensor one = fill(1, normal);
      CHECK_SAME(fill(2, normal), one);
      CHECK_SAME(fill(3, normal), one);
    }
  }
}

TEST_CASE("uniform values stay in their half-open range") {
  Random random(10);
  for (int i = 0; i < 1000; ++i) {
    const double value = random.uniform();
    CHECK(value >= 0);
    CHECK(value < 1);
  }
  // Between 1 and 2 a float has 23 bits where a draw has 24: the largest would round up to 2.
  const Tensor x = Tensor::uniform({1 << 22}, random, 1, 1 + 0x1p-21);
  bool inside = true;
  std::set<float> seen;
  for (const float value : x.values<float>()) {
    inside = inside && value >= 1 && value < static_cast<float>(1 + 0x1p-21);
    seen.insert(value);
  }
  CHECK(inside);
  CHECK(seen.size() == 4);
  CHECK_SAME(Tensor::uniform({5}, random, 3, 3), Tensor::full({5}, 3));
}

TEST_CASE("values have the moments of their distributions") {
  Random random(11);
  const auto moments = [](const Tensor& x) {
    double sum = 0, squares = 0;
    for (const float value : x.values<float>()) sum += value, squares += static_cast<double>(value) * value;
    const auto n = static_cast<double>(x.elements());
    return std::pair(sum / n, squares / n - sum / n * sum / n);
  };
  const auto [mean, variance] = moments(Tensor::normal({40'000}, random, 2));
  CHECK(std::abs(mean) < 0.05);
  CHECK(std::abs(variance - 4) < 0.15);
  const auto [middle, spread] = moments(Tensor::uniform({40'000}, random, -3, 3));
  CHECK(std::abs(middle) < 0.05);
  CHECK(std::abs(spread - 3) < 0.1);
}

TEST_CASE("bernoulli's ones come with their probability, whatever the number of threads") {
  constexpr size_t kCount = 100'003;
  for (const double probability : {0.0, 0.25, 1.0}) {
    std::vector<std::vector<uint8_t>> drawn;
    for (const int count : {1, 2, 3}) {
      const Threads guard(count);
      Random random(12);
      fill_bernoulli(drawn.emplace_back(kCount), random, probability);
      CHECK(random.position() == (kCount + 3) / 4 * 4);
    }
    CHECK(drawn[1] == drawn[0]);
    CHECK(drawn[2] == drawn[0]);
    int64_t ones = 0;
    for (const uint8_t value : drawn[0]) ones += value;
    CHECK(std::abs(static_cast<double>(ones) - kCount * probability) <=
          4 * std::sqrt(kCount * probability * (1 - probability)));
  }
}

TEST_CASE("each thread has a default generator, which a seed restarts") {
  manual_seed(5);
  const uint32_t first = default_random().bits();
  uint32_t other = 0;
  std::thread([&] {
    manual_seed(6);
    other = default_random().bits();
  }).join();
  CHECK(default_random().seed() == 5);
  CHECK(other == draw(Random(6), 1)[0]);
  manual_seed(5);
  CHECK(default_random().bits() == first);
}
