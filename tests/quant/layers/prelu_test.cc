#include "../../../core/ops/prelu.h"

#include "../one_layer.h"

using namespace sinter;
using namespace sinter::test;

TEST_CASE("PReLU has a multiplier for each channel's negative values") {
  for (const Tensor& slopes : {Tensor::from({4}, {0.25f, -0.7f, 0, 3}), Tensor::from({1}, {0.3f})}) {
    check_layer([&](const Tensors& x) { return prelu(x[0], slopes); }, {kImage},
                [&](const Case& c) {
                  return c.each([&](int64_t n, int64_t h, int64_t w, int64_t channel) {
                    const double slope =
                        slopes.values<float>()[slopes.elements() == 1 ? 0 : static_cast<size_t>(channel)];
                    const Integers& x = c.x[0];
                    const auto by = c.path.sum(x.scale, x.scale * slope, x.reach(), c.y.scale, c.y.bits, x.bits);
                    const int64_t q = x.at(n, h, w, channel);
                    return c.sum(std::max<int64_t>(q, 0), std::min<int64_t>(q, 0), by);
                  });
                });
  }
}
