#include "../../../core/ops/permute.h"

#include "../one_layer.h"

using namespace sinter;
using namespace sinter::test;

TEST_CASE("axes but the batch's change places") {
  check_moved(
      [](const Tensor& x) {
        return permute(x, {0, 3, 1, 2});
      },
      [](const Case& c, auto n, auto h, auto w, auto k) { return c.x[0].at(n, w, k, h); });
  check_moved(
      [](const Tensor& x) {
        return transpose(x, {1, -2});
      },
      [](const Case& c, auto n, auto h, auto w, auto k) { return c.x[0].at(n, w, h, k); });
}
