#include "../../core/lru_cache.h"

#include <doctest/doctest.h>

#include <string>

TEST_CASE("a bounded cache forgets what was used longest ago") {
  sinter::LruCache<int, std::string> cache(10);
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

TEST_CASE("a bounded cache shrinks with its capacity, and drops what is asked for") {
  sinter::LruCache<int, int> cache(10);
  for (int i = 1; i <= 5; ++i) cache.insert(i, 10 * i, 2);
  CHECK(cache.set_capacity(8) == 10);
  CHECK(cache.find(1) == nullptr);
  CHECK(cache.total_cost() == 8);
  cache.erase_if([](int value) { return value > 30; });
  CHECK(cache.size() == 2);
  CHECK(cache.total_cost() == 4);
  CHECK(*cache.find(3) == 30);
}
