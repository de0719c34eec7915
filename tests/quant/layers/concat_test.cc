#include "../../../core/ops/concat.h"

#include "../one_layer.h"

using namespace sinter;
using namespace sinter::test;

TEST_CASE("each input of a concatenation is rescaled once") {
  check_layer(
      [](const Tensors& x) {
        return concat({x[0], x[1], x[0]});
      },
      {kImage, {2, 5, 6, 3}},
      [](const Case& c) {
        return c.each([&](int64_t n, int64_t h, int64_t w, int64_t channel) {
          const Integers& from = c.x[channel >= 4 && channel < 7 ? 1 : 0];
          return c.rescaled(from.at(n, h, w,
                                    channel < 4   ? channel
                                    : channel < 7 ? channel - 4
                                                  : channel - 7),
                            c.path.narrow(from.scale, c.y.scale, c.y.bits));
        });
      });
  check_layer(
      [](const Tensors& x) {
        return concat({x[0], x[1]}, 1);
      },
      {kImage, {2, 3, 6, 4}},
      [](const Case& c) {
        return c.each([&](int64_t n, int64_t h, int64_t w, int64_t channel) {
          const Integers& from = c.x[h < 5 ? 0 : 1];
          return c.rescaled(from.at(n, h < 5 ? h : h - 5, w, channel), c.path.narrow(from.scale, c.y.scale, c.y.bits));
        });
      });
}
