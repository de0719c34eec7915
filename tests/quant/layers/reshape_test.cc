#include "../../../core/ops/reshape.h"

#include "../one_layer.h"

using namespace sinter;
using namespace sinter::test;

TEST_CASE("another shape has the same integers in the same order") {
  for (const std::vector<int64_t>& to :
       std::vector<std::vector<int64_t>>{{-1, 6, 5, 4}, {-1, 1, 1, 120}, {-1, 120, 1, 1}})
    check_layer([&](const Tensors& x) { return reshape(x[0], to); }, {kImage}, [](const Case& c) { return c.x[0].q; });
}
