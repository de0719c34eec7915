#include "../../../quant/integer/avg_pool.h"

#include "../../support.h"

using namespace sinter;
using namespace sinter::quant;

TEST_CASE("a pooling has as many multipliers as its windows count different numbers of values") {
  const auto counts = [](const AvgPoolAttributes& a, const Shape& x) {
    const Shape y = ops::AvgPool2d(a).infer(std::vector<Spec>{{DType::float32, x}})[0].shape;
    return AvgPoolPlan(ops::AvgPool2d(a).attributes, x, y).counts;
  };
  using Counts = std::vector<int64_t>;
  CHECK(counts({.kernel = 2}, {1, 4, 6, 1}) == Counts{4});
  CHECK(counts({.kernel = 3, .stride = 2, .padding = 1}, {1, 5, 5, 1}) == Counts{9});
  CHECK(counts({.kernel = 3, .stride = 2, .padding = 1, .count_include_pad = false}, {1, 5, 5, 1}) == Counts{4, 6, 9});
  CHECK(counts({.kernel = {3, 2}, .stride = 2, .ceil_mode = true}, {1, 6, 5, 1}) == Counts{2, 3, 4, 6});
}

TEST_CASE("sums of windows are rescaled, for every pair of types") {
  for (const DType from : {DType::int8, DType::int16})
    for (const DType to : {DType::int8, DType::int16}) {
      const Tensor x = test::normal({2, 4, 4, 3}, 1, 60).to(from);
      Tensor y = Tensor::empty({2, 2, 2, 3}, to);
      // 3 / 2^4 of the sum, and ties that are rounded up.
      integer_avg_pool(ops::AvgPool2d({.kernel = 2}).attributes, x, {{3, 4, 0}}, {-100, 90}, Rounding::half_up, y);
      const Tensor in = x.to(DType::float32), out = y.to(DType::float32);
      for (int64_t n = 0; n < 2; ++n)
        for (int64_t h = 0; h < 2; ++h)
          for (int64_t w = 0; w < 2; ++w)
            for (int64_t c = 0; c < 3; ++c) {
              const float sum = in.at({n, 2 * h, 2 * w, c}) + in.at({n, 2 * h, 2 * w + 1, c}) +
                                in.at({n, 2 * h + 1, 2 * w, c}) + in.at({n, 2 * h + 1, 2 * w + 1, c});
              CHECK(out.at({n, h, w, c}) == std::clamp(std::floor(sum * 3 / 16 + 0.5f), -100.0f, 90.0f));
            }
    }
}
