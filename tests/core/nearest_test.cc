#include "../../core/nearest.h"

#include <doctest/doctest.h>

using namespace sinter;

TEST_CASE("the name that is meant is one that a slip of the fingers away") {
  const std::vector<std::string> names{"stem", "body.0", "body.1", "head"};
  CHECK(did_you_mean("stm", names) == "; did you mean 'stem'?");
  CHECK(did_you_mean("body1", names) == "; did you mean 'body.1'?");
  CHECK(did_you_mean("heda", names) == "; did you mean 'head'?");
  CHECK(did_you_mean("haed", {"h", "a", "head"}) == "; did you mean 'head'?");
}

TEST_CASE("where no name is near, some are listed") {
  CHECK(did_you_mean("heda", {"h", "a"}) == "; there are h, a");
  CHECK(did_you_mean("heda", {"h"}) == "; there is h");
  CHECK(did_you_mean("", {"stem"}) == "; there is stem");
  CHECK(did_you_mean("heda", {}).empty());
  CHECK(did_you_mean("zzzz", std::vector<std::string>(10, "a")) == "; there are a, a, a, a, a, a, a, a and 2 more");
}
