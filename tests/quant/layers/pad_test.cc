#include "../../../core/ops/pad.h"

#include "../one_layer.h"

using namespace sinter;
using namespace sinter::quant;
using namespace sinter::test;

TEST_CASE("a border is rounded to the scale of what it surrounds") {
  check_moved(
      [](const Tensor& x) {
        return pad(x, {.before = {0, 1, 0, 2}, .after = {0, 0, 3, 0}, .value = 1.1});
      },
      [](const Case& c, int64_t n, int64_t h, int64_t w, int64_t k) {
        if (h >= 1 && w < 6 && k >= 2) return c.x[0].at(n, h - 1, w, k - 2);
        return c.rounded(1.1f * (1.0f / static_cast<float>(c.x[0].scale)));
      });
}

TEST_CASE("a border may be beyond what the image holds, but not beyond the type") {
  const auto bounds = [](const Bounds& image, int bits, double value) {
    Node node;
    node.op = std::make_shared<ops::Pad>(PadAttributes{.value = value});
    const Graph graph;
    const std::vector<Grid> x{{0.5f, image, storage_of(type_bounds(bits)), bits}};
    const Arithmetic march(March::bayes);
    Instruction step;
    step.op = node.op;
    Grid y;
    layer_named("pad").lower({graph, node, x, march}, step, y);
    return y.bounds;
  };
  CHECK(bounds({0, 127}, 8, 1) == Bounds{0, 127});
  CHECK(bounds({0, 12}, 8, 10) == Bounds{0, 20});
  CHECK(bounds({0, 127}, 8, -3) == Bounds{-6, 127});
  CHECK(bounds({0, 127}, 8, -INFINITY) == Bounds{-128, 127});
  CHECK(bounds({-32768, 32767}, 16, 1e9) == Bounds{-32768, 32767});
  CHECK(bounds({0, 15}, 4, -3) == Bounds{0, 15});
  CHECK(bounds({0, 7}, 4, -3) == Bounds{-6, 7});
}
