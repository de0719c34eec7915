#include "../../core/tensor.h"

#include <cmath>
#include <cstdint>

#include "../../core/lru_cache.h"
#include "../../core/parallel.h"
#include "../../core/random.h"
#include "../support.h"

using namespace sinter;

TEST_CASE("shapes know their sizes and refuse what is none") {
  const Shape s{2, 3, 4};
  CHECK(s.rank() == 3);
  CHECK(s[-1] == 4);
  CHECK(s.elements() == 24);
  CHECK(s.with(-2, 7) == Shape{2, 7, 4});
  CHECK(Shape{}.elements() == 1);
  CHECK(Shape{0, 5}.elements() == 0);
  CHECK(to_string(s) == "[2,3,4]");
  CHECK(!(s == Shape{2, 3}));
  CHECK_ERROR(s[3], "axis 3");
  CHECK_ERROR((Shape{-1}), "-1");
  CHECK_ERROR((Shape{1, 1, 1, 1, 1, 1, 1}), "axes");
  CHECK_ERROR((Shape{int64_t{1} << 40, int64_t{1} << 40}), "elements");
}

TEST_CASE("tensors are made, read and written") {
  Tensor t = Tensor::from({2, 2}, {1, 2, 3, 4});
  CHECK(t.at({1, 0}) == 3);
  t.mutable_data<float>()[2] = 7;
  CHECK(t.at({1, 0}) == 7);
  const Tensor same = t;
  t.mutable_data<float>()[0] = 9;
  CHECK(same.at({0, 0}) == 9);
  const Tensor other = t.clone();
  t.mutable_data<float>()[0] = 1;
  CHECK(other.at({0, 0}) == 9);
  CHECK_SAME(Tensor::arange(3), Tensor::from({3}, {0, 1, 2}));
  CHECK(Tensor::full({}, 4).item() == 4);
  CHECK(!Tensor().defined());
  CHECK_ERROR(t.at({2, 0}), "at: index 2 on axis 0 is out of bounds for shape [2,2]");
  CHECK_ERROR(t.at({0}), "at: 1 indices for a tensor of shape [2,2]");
  CHECK_ERROR(t.item(), "item: tensor is [2,2], expected one element");
  CHECK_ERROR(t.data<int8_t>(), "tensor is float32 [2,2], read as int8");
  CHECK_ERROR(Tensor().data<float>(), "the values of an undefined tensor were read");
  CHECK_ERROR(Tensor::from({3}, {1, 2}), "from: 2 values for shape [3], expected 3");
  CHECK_ERROR(Tensor::full({1}, 1.5, DType::int8), "full: 1.5 is no int8");
  CHECK_ERROR(Tensor::arange(200, DType::int8), "arange: 200 values do not fit int8");
}

TEST_CASE("conversions round half to even and saturate") {
  const Tensor x = Tensor::from({6}, {0.5f, 1.5f, -2.5f, 300, -INFINITY, -0.0f});
  CHECK_SAME(x.to(DType::int8), Tensor::from({6}, std::vector<int8_t>{0, 2, -2, 127, -128, 0}));
  CHECK_SAME(x.to(DType::uint8), Tensor::from({6}, std::vector<uint8_t>{0, 2, 0, 255, 0, 0}));
  CHECK(Tensor::full({1}, 3e9, DType::int64).to(DType::int32).item<int32_t>() == INT32_MAX);
  CHECK_SAME(Tensor::from({2}, std::vector<int16_t>{-3, 4}).to(DType::float32), Tensor::from({2}, {-3, 4}));
  CHECK_ERROR(Tensor::from({2}, {0, NAN}).to(DType::int32), "to: element 1 is NaN, which no int32 represents");
}

TEST_CASE("values are copied between tensors of one shape and type") {
  Tensor t = Tensor::zeros({2});
  t.copy_from(Tensor::from({2}, {3, 4}));
  CHECK_SAME(t, Tensor::from({2}, {3, 4}));
  CHECK_ERROR(t.copy_from(Tensor::zeros({3})), "[3]");
}

TEST_CASE("tensors print their type, shape and values, long axes abbreviated") {
  CHECK(to_string(Tensor::from({2, 2}, {1, 2, 3, 4.5f})) == "float32 [2,2] [[1, 2], [3, 4.5]]");
  CHECK(to_string(Tensor::full({}, 3, DType::int8)) == "int8 [] 3");
  CHECK(to_string(Tensor()) == "undefined tensor");
  CHECK(to_string(Tensor::zeros({1000})).find("...") != std::string::npos);
  CHECK(to_string(Tensor::zeros({1000})).size() < 200);
}

TEST_CASE("numbers in messages are the shortest that read back") {
  CHECK(text(0.1f, " ", 0.1, " ", int64_t{-3}, " ", true, " ", 'x', " ", 1e30) == "0.1 0.1 -3 true x 1e+30");
}

TEST_CASE("storages are aligned, and a steady loop fetches no memory from the system") {
  for (const int64_t size : {1, 100, 5000, 3000000})
    CHECK(reinterpret_cast<uintptr_t>(Tensor::empty({size}).data<float>()) % 64 == 0);
#ifndef __SANITIZE_ADDRESS__  // which frees at once, to see what is used afterwards
  const auto step = [] {
    const Tensor a = Tensor::zeros({100000}), b = a.clone();
    return a.elements() + b.elements();
  };
  step();
  const int64_t before = allocator_stats().system_allocations;
  for (int i = 0; i < 10; ++i) step();
  CHECK(allocator_stats().system_allocations == before);
#endif
  reset_peak_bytes();
  const int64_t live = allocator_stats().live_bytes;
  { const Tensor big = Tensor::empty({1 << 20}); }
  CHECK(allocator_stats().peak_bytes >= live + (4 << 20));
  CHECK(allocator_stats().live_bytes == live);
  release_cached_memory();
  CHECK(allocator_stats().cached_bytes == 0);
}

TEST_CASE("Philox gives the known answers of Random123") {
  using Words = std::array<uint32_t, 4>;
  CHECK(philox(0, 0, 0) == Words{0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8});
  CHECK(philox(~uint64_t{0}, ~uint64_t{0}, ~uint64_t{0}) == Words{0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd});
}

TEST_CASE("random numbers depend on seed, stream and position alone") {
  Random a(1), b(1), c(2), d(1, 5);
  const uint32_t first = a.bits();
  CHECK(b.bits() == first);
  CHECK(c.bits() != first);
  CHECK(d.bits() != first);
  Random e(1);
  e.skip(1);
  CHECK(e.bits() == a.bits());
  std::vector<Tensor> made;
  const int before = threads();
  for (const int count : {1, 3}) {
    set_threads(count);
    Random random(7);
    made.push_back(Tensor::normal({100001}, random));
    made.push_back(Tensor::uniform({100001}, random, -1, 1));
  }
  set_threads(before);
  CHECK_SAME(made[0], made[2]);
  CHECK_SAME(made[1], made[3]);

  double sum = 0, squares = 0;
  for (const float v : made[0].values<float>()) {
    sum += v;
    squares += static_cast<double>(v) * v;
  }
  CHECK(std::abs(sum / 100001) < 0.02);
  CHECK(std::abs(squares / 100001 - 1) < 0.02);
  int64_t counts[3] = {};
  Random random(3);
  for (int i = 0; i < 30000; ++i) ++counts[random.below(3)];
  for (const int64_t n : counts) CHECK(std::abs(n - 10000) < 400);
  CHECK_ERROR(random.below(0), "random: below 0, expected at least 1");
  manual_seed(4);
  const uint32_t seeded = default_random().bits();
  manual_seed(4);
  CHECK(default_random().bits() == seeded);
}

TEST_CASE("parallel loops cover every index once, pass exceptions on and may be nested") {
  const int before = threads();
  set_threads(3);
  std::vector<int> seen(10007, 0);
  parallel_for(10007, 10, [&](int64_t begin, int64_t end) {
    parallel_for(end - begin, 1, [&](int64_t b, int64_t e) {
      for (int64_t i = b; i < e; ++i) ++seen[begin + i];
    });
  });
  CHECK(std::all_of(seen.begin(), seen.end(), [](int n) { return n == 1; }));
  const auto failing = [] { parallel_for(1000, 1, [](int64_t begin, int64_t) { check(begin != 0, "first"); }); };
  CHECK_ERROR(failing(), "first");
  CHECK_ERROR(set_threads(0), "set_threads: 0 threads, expected at least 1");
  set_threads(before);
}

TEST_CASE("a bounded cache forgets what was used longest ago") {
  LruCache<int, std::string> cache(10);
  cache.insert(1, "a", 4);
  cache.insert(2, "b", 4);
  CHECK(*cache.find(1) == "a");
  cache.insert(3, "c", 4);
  CHECK(cache.find(2) == nullptr);
  CHECK(*cache.find(1) == "a");
  CHECK(cache.total_cost() == 8);
  cache.insert(4, "d", 100);  // the newest is always kept
  CHECK(cache.size() == 1);
  cache.insert(4, "e", 1);
  CHECK(*cache.find(4) == "e");
  CHECK(cache.total_cost() == 1);
  cache.erase(4);
  CHECK(cache.size() == 0);
}
