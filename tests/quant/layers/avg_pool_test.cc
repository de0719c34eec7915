#include "../../../core/ops/avg_pool2d.h"

#include <cmath>

#include "../../../nn/module.h"
#include "../../../quant/prepare.h"
#include "../one_layer.h"
#include "layer.h"

using namespace sinter;
using namespace sinter::quant;
using namespace sinter::test;

TEST_CASE("a pooling has as many rescalings as its windows count different numbers of values") {
  struct Net : nn::Module {
    AvgPoolAttributes a{.kernel = 1};
    SINTER_CHILDREN()
    Tensor forward(const Tensor& x) const override { return avg_pool2d(x, a); }
  };
  const auto ratios = [](const AvgPoolAttributes& a, const Shape& x) {
    Net net;
    net.a = a;
    PreparedModel model = prepare_qat(net, Tensor::zeros(x), {.march = March::nash});
    const Grid in{1};
    Grid y{0.125f};
    std::vector<int64_t> counts;
    const std::vector<Grid> grids{in};
    for (const Rescaling& by :
         layer_instruction({model.graph(), model.graph().nodes[0], grids, model.march()}, y).rescale)
      counts.push_back(std::llround(8 / std::ldexp(static_cast<double>(by.first), -by.post)));
    return counts;
  };
  using Counts = std::vector<int64_t>;
  CHECK(ratios({.kernel = 2}, {1, 4, 6, 1}) == Counts{4});
  CHECK(ratios({.kernel = 3, .stride = 2, .padding = 1}, {1, 5, 5, 1}) == Counts{9});
  CHECK(ratios({.kernel = 3, .stride = 2, .padding = 1, .count_include_pad = false}, {1, 5, 5, 1}) == Counts{4, 6, 9});
  CHECK(ratios({.kernel = {3, 2}, .stride = 2, .ceil_mode = true}, {1, 6, 5, 1}) == Counts{2, 3, 4, 6});
}

TEST_CASE("sums of windows are rescaled, for every pair of types") {
  for (const DType from : {DType::int8, DType::int16})
    for (const DType to : {DType::int8, DType::int16}) {
      const Tensor x = test::normal({2, 4, 4, 3}, 1, 60).to(from);
      // 3 / 2^4 of the sum, and ties that are rounded to even.
      const Tensor y = test::run(test::instruction("avg_pool", ops::AvgPool2d({.kernel = 2}), {{3, 0, 0, 1, 4}}), {x},
                                 to, {-100, 90});
      const Tensor in = x.to(DType::float32), out = y.to(DType::float32);
      for (int64_t n = 0; n < 2; ++n)
        for (int64_t h = 0; h < 2; ++h)
          for (int64_t w = 0; w < 2; ++w)
            for (int64_t c = 0; c < 3; ++c) {
              const float sum = in.at({n, 2 * h, 2 * w, c}) + in.at({n, 2 * h, 2 * w + 1, c}) +
                                in.at({n, 2 * h + 1, 2 * w, c}) + in.at({n, 2 * h + 1, 2 * w + 1, c});
              CHECK(out.at({n, h, w, c}) == std::clamp(std::nearbyint(sum * 3 / 16), -100.0f, 90.0f));
            }
    }
}

TEST_CASE("the mean of each window is rounded once, for every count of values") {
  for (const AvgPoolAttributes& a :
       {AvgPoolAttributes{.kernel = 2},
        AvgPoolAttributes{
            .kernel = Pair{3, 2}, .stride = 2, .padding = 1, .ceil_mode = true, .count_include_pad = false},
        AvgPoolAttributes{.kernel = 3, .stride = 2, .padding = 1, .ceil_mode = true},
        AvgPoolAttributes{.kernel = Pair{5, 6}}})
    check_layer([&](const Tensors& x) { return avg_pool2d(x[0], a); }, {kImage},
                [&](const Case& c) {
                  const Pair kernel = a.kernel, stride = a.stride == Pair{0} ? kernel : a.stride;
                  return c.each([&](int64_t n, int64_t h, int64_t w, int64_t channel) {
                    int64_t sum = 0, count = 0;
                    for (int64_t y = h * stride.h - a.padding.h; y < h * stride.h - a.padding.h + kernel.h; ++y)
                      for (int64_t x = w * stride.w - a.padding.w; x < w * stride.w - a.padding.w + kernel.w; ++x) {
                        const bool inside = y >= 0 && y < 5 && x >= 0 && x < 6;
                        if (inside) sum += c.x[0].at(n, y, x, channel);
                        count += inside || (a.count_include_pad && y < 5 + a.padding.h && x < 6 + a.padding.w);
                      }
                    return c.rescaled(sum, c.path.mean(c.x[0].scale, count, c.y.scale, c.y.bits));
                  });
                });
}

TEST_CASE("sums that 32 bits may not hold are refused by their layer's name") {
  PreparedModel model = prepare_qat(OneLayer([](const Tensors& x) {
                                      return avg_pool2d(x[0], {.kernel = {256, 128}});
                                    }),
                                    Tensor::zeros({1, 256, 128, 1}),
                                    {.qconfig = get_default_qconfig({.activation_qkwargs = {{"dtype", "int16"}}})});
  test::set_ranges(model);
  model.set_state(FakeQuantState::validation);
  CHECK_ERROR(model(Tensor::zeros({1, 256, 128, 1})),
              "avg_pool2d: the mean: adds 32768 values of int16, which could overflow 32 bits");
}
