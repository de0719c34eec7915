#include "../../../quant/layers/conv.h"

#include "../one_layer.h"

using namespace sinter;
using namespace sinter::test;

namespace {

// A convolution whose weights are integers on a scale of 2^-7, or of that of their channel.
struct Net : nn::Module {
  nn::Conv2d conv;
  explicit Net(const nn::Conv2dOptions& options) : conv(options) {
    Tensor weight = conv.weight.tensor();
    const int64_t each = weight.elements() / weight.size(0);
    for (int64_t i = 0; i < weight.elements(); ++i) {
      const float magnitude = i % each == 0 ? 127.5f : static_cast<float>(q(i, each));  // which is 127
      weight.mutable_data<float>()[i] = std::ldexp(magnitude, -7 - static_cast<int>(i / each % 2));
    }
  }
  // 127 is the largest of every channel.
  static int64_t q(int64_t i, int64_t each) { return i % each == 0 ? 127 : i * 37 % 201 - 100; }
  static double scale(int64_t channel) { return std::ldexp(1.0, -7 - static_cast<int>(channel % 2)); }
  SINTER_CHILDREN(conv)
  Tensor forward(const Tensor& x) const override { return conv(x); }
};

}  // namespace

TEST_CASE("a convolution is exact before each channel is rescaled") {
  for (const nn::Conv2dOptions& o :
       {nn::Conv2dOptions{.in = 4, .out = 3, .kernel = 1, .bias = false},
        nn::Conv2dOptions{.in = 4, .out = 6, .kernel = {3, 2}, .stride = {2, 1}, .padding = 1, .bias = false},
        nn::Conv2dOptions{
            .in = 4, .out = 4, .kernel = 3, .padding = {2, 1}, .dilation = 2, .groups = 4, .bias = false}}) {
    const Net net(o);
    check_layer(net, {kImage},
                [&](const Case& c) {
                  const Pair kernel = o.kernel;
                  const int64_t in = o.in / o.groups, out = o.out / o.groups, each = kernel.h * kernel.w * in;
                  return c.each([&](int64_t n, int64_t h, int64_t w, int64_t channel) {
                    int64_t sum = 0;
                    for (int64_t i = 0; i < kernel.h; ++i)
                      for (int64_t j = 0; j < kernel.w; ++j)
                        for (int64_t k = 0; k < in; ++k) {
                          const int64_t y = h * o.stride.h - o.padding.h + i * o.dilation.h;
                          const int64_t x = w * o.stride.w - o.padding.w + j * o.dilation.w;
                          if (y < 0 || y >= 5 || x < 0 || x >= 6) continue;
                          sum += c.x[0].at(n, y, x, channel / out * in + k) *
                                 Net::q(((channel * kernel.h + i) * kernel.w + j) * in + k, each);
                        }
                    return c.rescaled(sum, c.path.accumulator(c.x[0].scale * Net::scale(channel), c.y.scale, c.y.bits));
                  });
                },
                {.path = "conv"});
  }
}
