#include "../../../core/ops/clamp.h"

#include "../../../core/ops/relu6.h"
#include "../one_layer.h"

using namespace sinter;
using namespace sinter::quant;
using namespace sinter::test;

TEST_CASE("an activation on its own keeps the integers within its bounds") {
  check_moved([](const Tensor& x) { return relu(x); },
              [](const Case& c, auto... at) { return std::max<int64_t>(c.x[0].at(at...), 0); });
  // 6 is rounded to the scale.
  check_moved([](const Tensor& x) { return relu6(x); },
              [](const Case& c, auto... at) {
                const int64_t most = c.rounded(6 / c.x[0].scale);
                return std::min(std::max<int64_t>(c.x[0].at(at...), 0), most);
              });
}
