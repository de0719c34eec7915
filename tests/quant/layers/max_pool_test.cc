#include "../../../core/ops/max_pool2d.h"

#include "../one_layer.h"

using namespace sinter;
using namespace sinter::test;

TEST_CASE("the largest integer of each window passes") {
  for (const MaxPoolAttributes& a :
       {MaxPoolAttributes{.kernel = 2}, MaxPoolAttributes{.kernel = Pair{3, 2}, .stride = 1, .padding = Pair{1, 0}},
        MaxPoolAttributes{.kernel = 3, .stride = 2, .padding = 1, .ceil_mode = true},
        MaxPoolAttributes{.kernel = 2, .stride = 1, .dilation = 2}})
    check_layer([&](const Tensors& x) { return max_pool2d(x[0], a); }, {kImage},
                [&](const Case& c) {
                  const Pair kernel = a.kernel, stride = a.stride == Pair{0} ? kernel : a.stride;
                  return c.each([&](int64_t n, int64_t h, int64_t w, int64_t channel) {
                    int64_t largest = INT64_MIN;
                    for (int64_t i = 0; i < kernel.h; ++i)
                      for (int64_t j = 0; j < kernel.w; ++j) {
                        const int64_t y = h * stride.h - a.padding.h + i * a.dilation.h;
                        const int64_t x = w * stride.w - a.padding.w + j * a.dilation.w;
                        if (y >= 0 && y < 5 && x >= 0 && x < 6)
                          largest = std::max(largest, c.x[0].at(n, y, x, channel));
                      }
                    return largest;
                  });
                });
}
