// Results do not depend on the number of threads, whatever the shapes.

#include "../../core/ops/batch_norm.h"
#include "../../core/ops/conv2d.h"
#include "../../core/ops/conv_transpose2d.h"
#include "../../core/ops/linear.h"
#include "../../core/ops/reduce.h"
#include "../../core/random.h"
#include "../support.h"

using namespace sinter;

namespace {

// Drawn: from low to high.
class Draw {
 public:
  explicit Draw(uint64_t seed) : random_(seed) {}
  int64_t operator()(int64_t low, int64_t high) { return low + random_.below(high - low + 1); }

 private:
  Random random_;
};

// An image or more, and a convolution that fits it.
struct Geometry {
  Shape x, weight;
  ConvAttributes attributes;
};

Geometry drawn(Draw& draw, int64_t side, int64_t channels) {
  const int64_t groups = draw(0, 4) == 0 ? 2 : 1, kernel_h = draw(1, 4), kernel_w = draw(1, 4);
  const Shape x{draw(1, 3), draw(kernel_h, side), draw(kernel_w, side), groups * draw(1, channels)};
  return {x,
          {groups * draw(1, channels), kernel_h, kernel_w, x[3] / groups},
          {.stride = {draw(1, 2), draw(1, 2)},
           .padding = {draw(0, kernel_h / 2), draw(0, kernel_w / 2)},
           .groups = groups}};
}

void check_convolutions(const std::vector<Geometry>& geometries) {
  for (size_t i = 0; i < geometries.size(); ++i) {
    const Geometry& g = geometries[i];
    const ConvAttributes& a = g.attributes;
    const std::string what = text(i, ": ", g.x, " ", g.weight, " ", a.stride.h, " ", a.stride.w, " ", a.padding.h, " ",
                                  a.padding.w, " ", a.groups);
    CAPTURE(what);
    std::vector<Tensor> operands{test::normal(g.x, 1), test::normal(g.weight, 2)};
    if (i % 2 == 0) operands.push_back(test::normal({g.weight[0]}, 3));
    CHECK_THREADS(
        ([&](const std::vector<Tensor>& t) { return conv2d(t[0], t[1], t.size() == 3 ? t[2] : Tensor(), a); }),
        operands);
  }
}

}  // namespace

TEST_CASE("small convolutions of any geometry do not depend on the number of threads") {
  std::vector<Geometry> geometries{{{1, 1, 4, 3}, {3, 1, 2, 3}, {.padding = {0, 1}}}};
  Draw draw(15);
  for (int i = 0; i < 1000; ++i) geometries.push_back(drawn(draw, 12, 20));
  check_convolutions(geometries);
}

TEST_CASE("nor do single images that are cut among threads") {
  std::vector<Geometry> geometries{{{1, 64, 64, 32}, {32, 3, 3, 32}, {.padding = {1, 1}}}};
  Draw draw(16);
  for (int i = 0; i < 20; ++i) geometries.push_back(drawn(draw, 60, 64));
  check_convolutions(geometries);
}

TEST_CASE("products, normalisations, transposed convolutions and sums of any shape do not depend on it either") {
  Draw draw(17);
  for (int i = 0; i < 150; ++i) {
    CAPTURE(i);
    const int64_t most = i % 10 == 0 ? 600 : 70;
    const int64_t rows = draw(1, most), in = draw(1, most), out = draw(1, most);
    CHECK_THREADS(linear, {test::normal({rows, in}, 1), test::normal({out, in}, 2), test::normal({out}, 3)});
    const Shape x{draw(1, 3), draw(1, 30), draw(1, 30), draw(1, 40)};
    CHECK_THREADS(
        [](const Tensor& t, const Tensor& weight, const Tensor& bias) {
          return batch_norm(t, weight, bias, Tensor::zeros(weight.shape()), Tensor::ones(weight.shape()));
        },
        {test::normal(x, 1), test::normal({x[3]}, 2), test::normal({x[3]}, 3)});
    const Pair stride{draw(1, 2), draw(1, 2)};
    CHECK_THREADS(
        [&](const Tensor& t, const Tensor& weight) { return conv_transpose2d(t, weight, {}, {.stride = stride}); },
        {test::normal(x, 1), test::normal({draw(1, 20), draw(1, 3), draw(1, 3), x[3]}, 2)});
    for (const std::vector<int64_t>& axes : {std::vector<int64_t>{}, {0}, {1, 2}, {3}})
      CHECK_THREADS([&](const Tensor& t) { return mean(t, axes); }, {test::normal(x, 1)});
  }
}
