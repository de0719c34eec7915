// What concerns all layers that are no convolutions together; each alone is in a file of `layers`.

#include "../../quant/layers/list.h"

#include "../../core/ops/avg_pool2d.h"
#include "../../core/ops/concat.h"
#include "../../core/ops/hardsigmoid.h"
#include "../../core/ops/hardswish.h"
#include "../../core/ops/leaky_relu.h"
#include "../../core/ops/pad.h"
#include "../../core/ops/pixel_shuffle.h"
#include "../../core/ops/prelu.h"
#include "../../core/ops/reduce.h"
#include "../../core/ops/resize.h"
#include "../../core/ops/sigmoid.h"
#include "../../core/ops/silu.h"
#include "../../core/ops/slice.h"
#include "../../core/ops/tanh.h"
#include "../../nn/layers/conv_transpose2d.h"
#include "../../nn/layers/dropout.h"
#include "../../nn/layers/prelu.h"
#include "float_qat.h"
#include "one_layer.h"

using namespace sinter;
using namespace sinter::quant;
using test::OneLayer;
using test::Tensors;

namespace {

// All layers of this file and transposed convolutions, between others.
struct Deployed : nn::Module {
  nn::Conv2d stem{{.in = 3, .out = 8, .kernel = 3, .padding = 1}};
  nn::Conv2d squeeze{{.in = 8, .out = 4, .kernel = 1}}, excite{{.in = 4, .out = 8, .kernel = 1}};
  nn::Conv2d down{{.in = 8, .out = 8, .kernel = 3, .stride = 2, .padding = 1}};
  nn::PReLU act{{.channels = 8}};
  nn::Dropout dropout;
  nn::ConvTranspose2d up{{.in = 8, .out = 8, .kernel = 4, .stride = 2, .padding = 1}};
  nn::ConvTranspose2d grouped{{.in = 8, .out = 4, .kernel = {2, 3}, .stride = {1, 2}, .dilation = {2, 1}, .groups = 2}};
  nn::BatchNorm2d bn{8};
  nn::Conv2d wide{{.in = 14, .out = 16, .kernel = 1}};
  nn::Linear head{{.in = 4, .out = 5}};
  SINTER_CHILDREN(stem, squeeze, excite, down, act, dropout, up, grouped, bn, wide, head)

  Tensor forward(const Tensor& x) const override {
    Tensor first = hardswish(stem(x));
    first = first * hardsigmoid(excite(relu(squeeze(mean(first, {1, 2}, true)))));
    const Tensor small = dropout(act(down(first)));
    const Tensor large = relu(bn(up(small)) + first);
    const auto parts = split(large, {.sizes = {3, 5}});
    const Tensor part = silu(slice(parts[1], {.begin = 1, .end = -1})) - tanh(parts[0]);
    const Tensor both = concat({part, resize_bilinear(small, 2), sigmoid(part)});
    const Tensor means = leaky_relu(avg_pool2d(both, {.kernel = 2}), {.negative_slope = 0.125});
    const Tensor shuffled = pixel_shuffle(wide(means), {.upscale = 2});
    const Tensor padded = pad(shuffled, {.before = {0, 0, 1, 0}, .after = {0, 0, 0, 0}, .value = -0.25});
    const Tensor rows = slice(padded, {.axis = 1, .begin = 1, .end = 7});
    return head(mean(rows + grouped(small), {1, 2}));
  }
};

}  // namespace

TEST_CASE("what cannot be negative is known through all layers") {
  const auto negative = [](const std::function<Tensor(const Tensor&)>& f) -> bool {
    const Graph graph =
        prepare_qat(OneLayer([&](const Tensors& x) { return f(x[0]); }), Tensor::zeros({1, 4, 4, 4})).graph();
    return may_be_negative(graph).back();
  };
  for (const bool known : {true, false}) {
    CAPTURE(known);
    const auto of = [&](const Tensor& x) { return known ? sigmoid(x) : x; };
    const std::vector<std::function<Tensor(const Tensor&)>> pass{
        [&](const Tensor& x) { return of(x) + of(x); },
        [&](const Tensor& x) { return of(x) * of(x); },
        [&](const Tensor& x) { return silu(of(x)); },
        [&](const Tensor& x) { return hardswish(of(x)); },
        [&](const Tensor& x) { return tanh(of(x)); },
        [&](const Tensor& x) { return leaky_relu(of(x)); },
        [&](const Tensor& x) { return prelu(of(x), Tensor::full({1}, -1)); },
        [&](const Tensor& x) {
          return concat({of(x), relu(x)});
        },
        [&](const Tensor& x) { return avg_pool2d(of(x), {.kernel = 2}); },
        [&](const Tensor& x) { return resize_bilinear(pixel_shuffle(slice(of(x), {.end = 4}), {.upscale = 2}), 2); },
        [&](const Tensor& x) {
          return pad(of(x), {.before = {0, 1, 0, 0}, .value = 1});
        }};
    for (size_t i = 0; i < pass.size(); ++i) {
      CAPTURE(i);
      CHECK(negative(pass[i]) == !known);
    }
  }
  CHECK_FALSE(negative([](const Tensor& x) { return hardsigmoid(x); }));
  CHECK(negative([](const Tensor& x) { return relu(x) - relu(x); }));
  CHECK(negative([](const Tensor& x) { return pad(relu(x), {.before = {0, 1, 0, 0}, .value = -1}); }));
}

TEST_CASE("every layer has the values and gradients of a float network with fake quantisation") {
  Deployed net = test::randomized(Deployed{}, 3);
  for (int i = 0; i < 8; ++i) net.act.weight.tensor().mutable_data<float>()[i] = 0.25f * static_cast<float>(i - 2);
  PreparedModel model = prepare_qat(net, Tensor::zeros({1, 8, 8, 3}), {.march = test::kExact});
  test::set_ranges(model, 1.3f);
  model.eval();
  test::check_against_float(model, test::images({2, 8, 8, 3}, 21, 1.2));
}
