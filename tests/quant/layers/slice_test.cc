#include "../../../core/ops/slice.h"

#include "../one_layer.h"

using namespace sinter;
using namespace sinter::test;

TEST_CASE("the integers of a slice are as they were") {
  check_moved([](const Tensor& x) { return slice(x, {.begin = 1, .step = 2}); },
              [](const Case& c, auto n, auto h, auto w, auto k) { return c.x[0].at(n, h, w, 1 + 2 * k); });
  check_moved([](const Tensor& x) { return slice(x, {.axis = 1, .begin = -3, .end = -1}); },
              [](const Case& c, auto n, auto h, auto w, auto k) { return c.x[0].at(n, h + 2, w, k); });
}
