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
