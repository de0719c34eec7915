#include "../../../core/ops/pixel_shuffle.h"

#include "../one_layer.h"

using namespace sinter;
using namespace sinter::test;

TEST_CASE("the integers of shuffled pixels are as they were") {
  check_moved([](const Tensor& x) { return pixel_shuffle(x, {.upscale = 2}); },
              [](const Case& c, auto n, auto h, auto w, auto k) {
                return c.x[0].at(n, h / 2, w / 2, (k * 2 + h % 2) * 2 + w % 2);
              });
}
