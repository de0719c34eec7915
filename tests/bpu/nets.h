#pragma once
// Small prepared networks for the tests of bpu/.

#include <cmath>
#include <string>

#include "../../core/ops/arithmetic.h"
#include "../../core/ops/avg_pool2d.h"
#include "../../core/ops/concat.h"
#include "../../core/ops/hardsigmoid.h"
#include "../../core/ops/hardswish.h"
#include "../../core/ops/leaky_relu.h"
#include "../../core/ops/pad.h"
#include "../../core/ops/pixel_shuffle.h"
#include "../../core/ops/reduce.h"
#include "../../core/ops/relu.h"
#include "../../core/ops/relu6.h"
#include "../../core/ops/resize.h"
#include "../../core/ops/sigmoid.h"
#include "../../core/ops/silu.h"
#include "../../core/ops/slice.h"
#include "../../core/ops/tanh.h"
#include "../../nn/layers/basic_block.h"
#include "../../nn/layers/conv_transpose2d.h"
#include "../../nn/layers/dropout.h"
#include "../../nn/layers/linear.h"
#include "../../nn/layers/max_pool2d.h"
#include "../../nn/layers/prelu.h"
#include "../../quant/prepare.h"
#include "../support.h"

namespace sinter::test {

/// One of every layer that a program has: convolutions with and without residual and ReLU, depthwise and dilated ones,
/// max pooling, an addition and a ReLU of their own, mean, reshape, and a head.
struct EveryInstruction : nn::Module {
  nn::Conv2d stem{{.in = 3, .out = 8, .kernel = 3, .padding = 1, .bias = false}};
  nn::BatchNorm2d bn{8};
  nn::MaxPool2d pool{{.kernel = 3, .stride = 2, .padding = 1}};
  nn::BasicBlock block{{.in = 8, .out = 16, .stride = 2}};
  nn::Conv2d depthwise{{.in = 16, .out = 16, .kernel = 3, .padding = 2, .dilation = 2, .groups = 16}};
  nn::Conv2d pointwise{{.in = 16, .out = 16, .kernel = {1, 1}}};
  nn::Linear head{{.in = 16, .out = 5}};
  SINTER_CHILDREN(stem, bn, pool, block, depthwise, pointwise, head)

  Tensor forward(const Tensor& x) const override {
    Tensor y = block(pool(relu(bn(stem(x)))));
    const Tensor z = depthwise(y);
    y = relu(z + y) + relu(pointwise(z));  // z is read twice: neither addition fuses into its convolution
    return head(mean(y, {1, 2}));
  }
};

/// x times what two small layers make of its mean: a product that broadcasts (Hu et al., 1709.01507).
struct SqueezeExcite : nn::Module {
  nn::Conv2d squeeze{{.in = 8, .out = 4, .kernel = 1}}, excite{{.in = 4, .out = 8, .kernel = 1}};
  SINTER_CHILDREN(squeeze, excite)
  Tensor forward(const Tensor& x) const override {
    return x * hardsigmoid(excite(relu(squeeze(mean(x, {1, 2}, true)))));
  }
};

/// What deployed networks have besides, for images of even size: squeeze and excitation, transposed convolutions, with
/// batch normalisation and a residual, tables, PReLU, differences, concatenations, averages over windows of several
/// sizes, resizing, slices, borders, pixel shuffle, dropout.
struct MoreLayers : nn::Module {
  nn::Conv2d stem{{.in = 3, .out = 8, .kernel = 3, .padding = 1, .bias = false}};
  nn::BatchNorm2d bn{8}, up_bn{8};
  SqueezeExcite attention;
  nn::Conv2d down{{.in = 8, .out = 8, .kernel = 3, .stride = 2, .padding = 1}};
  nn::PReLU act{{.channels = 8}};
  nn::Dropout dropout;
  nn::ConvTranspose2d up{{.in = 8, .out = 8, .kernel = 4, .stride = 2, .padding = 1, .bias = false}};
  nn::ConvTranspose2d grouped{{.in = 8,
                               .out = 4,
                               .kernel = {3, 2},
                               .stride = {2, 1},
                               .padding = {1, 0},
                               .output_padding = {1, 0},
                               .groups = 2}};
  nn::Conv2d wide{{.in = 18, .out = 16, .kernel = 1}};
  nn::Linear head{{.in = 4, .out = 5}};
  SINTER_CHILDREN(stem, bn, up_bn, attention, down, act, dropout, up, grouped, wide, head)

  Tensor forward(const Tensor& x) const override {
    const Tensor first = attention(hardswish(bn(stem(x))));
    const Tensor small = dropout(act(down(first)));
    const Tensor large = relu(up_bn(up(small)) + first);
    const auto parts = split(large, {.sizes = {3, 5}});
    const Tensor part = silu(slice(parts[1], {.begin = 1, .end = -1})) - tanh(parts[0]);
    const Tensor both = concat({part, resize_bilinear(small, 2), sigmoid(part), slice(large, {.end = 4})});
    const Tensor means =
        avg_pool2d(both, {.kernel = 3, .stride = 2, .padding = 1, .ceil_mode = true, .count_include_pad = false});
    const Tensor shuffled = pixel_shuffle(leaky_relu(wide(means)), {.upscale = 2});
    const Tensor other = resize_nearest(grouped(small), {1, 2});
    const Tensor padded = pad(shuffled, {.before = {0, 0, 1, 0}, .after = {0, 0, 0, 0}, .value = -0.25});
    const Tensor rows = resize(padded, {.size = {16, 18}, .mode = "bilinear", .align_corners = true});
    return head(mean(rows + other, {1, 2}));
  }
};

/// All of it in one network, of two inputs, [N,H,W,3] and half as large [N,H/2,W/2,4], with two outputs: also what the
/// two above do not have, ReLU6, in a convolution and alone, a ReLU, sums and products that no convolution takes in, a
/// layer that is called twice, a residual of a depthwise convolution.
struct AllTogether : nn::Module {
  nn::Conv2d stem{{.in = 3, .out = 8, .kernel = 3, .padding = 1, .bias = false}};
  nn::Conv2d shared{{.in = 8, .out = 8, .kernel = 3, .padding = 1, .bias = false}};
  nn::BatchNorm2d bn{8}, shared_bn{8}, up_bn{8};
  SqueezeExcite attention;
  nn::PReLU act{{.channels = 8}};
  nn::Dropout dropout;
  nn::MaxPool2d pool{{.kernel = 2}};
  nn::ConvTranspose2d up{{.in = 20, .out = 8, .kernel = 2, .stride = 2, .bias = false}};
  nn::Conv2d depthwise{{.in = 8, .out = 8, .kernel = 3, .padding = 1, .groups = 8}};
  nn::Conv2d wide{{.in = 8, .out = 12, .kernel = 3, .stride = 2, .padding = 1}};
  nn::Linear head{{.in = 11, .out = 5}};
  SINTER_CHILDREN(stem, shared, bn, shared_bn, up_bn, attention, act, dropout, pool, up, depthwise, wide, head)

  std::vector<Tensor> forward_all(std::span<const Tensor> x) const override {
    const Tensor first = relu6(bn(stem(x[0])));
    const auto call_shared = [this](const Tensor& y) { return act(shared_bn(shared(y))); };
    const Tensor once = call_shared(pool(dropout(attention(first)))),
                 again = call_shared(avg_pool2d(first, {.kernel = 2}));
    const Tensor sum = relu6(once * again) + relu(once - again);
    const auto parts = split(sum, {.count = 2});
    const Tensor mixed = concat({silu(once), tanh(parts[1]), sigmoid(x[1]), leaky_relu(x[1])});
    const Tensor large = relu(up_bn(up(mixed)) + first);
    const Tensor shuffled = pixel_shuffle(wide(relu(depthwise(large) + large)));
    const Tensor resized = concat({shuffled, resize_nearest(hardswish(parts[0]), 2), resize_bilinear(parts[1], 2)});
    const Tensor padded = pad(resized, {.before = {0, 1, 0, 0}, .after = {0, 0, 2, 0}, .value = 0.4});
    return {head(mean(slice(padded, {.axis = 1, .begin = 1, .step = 3}), {1, 2})), resized};
  }
};

/// Values from a formula, equal on every machine.
inline void fill(const nn::Module& model) {
  int64_t k = 0;
  for (const auto& parameter : model.named_state()) {
    Tensor t = parameter.value.tensor();
    ++k;
    if (t.dtype() != DType::float32) continue;
    const bool one = parameter.name.ends_with("var") || (parameter.name.ends_with("weight") && t.rank() == 1);
    const double scale = t.rank() > 1 ? std::sqrt(24.0 / static_cast<double>(t.elements() / t.size(0))) : 0.3;
    float* values = t.mutable_data<float>();
    for (int64_t i = 0; i < t.elements(); ++i)
      values[i] = static_cast<float>(scale * (static_cast<double>((i * 7919 + k * 104729) % 1009) / 1009 - 0.5) +
                                     (one ? 1 : 0));
  }
}

/// Images from a formula, in about -2..2.
inline Tensor formula_images(const Shape& shape) {
  Tensor x = Tensor::empty(shape);
  float* values = x.mutable_data<float>();
  for (int64_t i = 0; i < x.elements(); ++i) values[i] = static_cast<float>(i * 2654435761 % 4001) / 1000 - 2.0f;
  return x;
}

inline quant::PreparedModel calibrated(const nn::Module& model, const Tensor& x, const quant::March& march,
                                       const quant::QConfig& qconfig = quant::get_default_qconfig()) {
  auto prepared = quant::prepare_qat(model, x, {.qconfig = qconfig, .march = march});
  quant::set_fake_quantize(prepared, quant::FakeQuantState::calibration);
  prepared({x});
  quant::set_fake_quantize(prepared, quant::FakeQuantState::validation);
  return prepared;
}

/// Every layer, calibrated.
inline quant::PreparedModel every_layer(const quant::March& march = quant::March::bayes, int64_t images = 4) {
  EveryInstruction net;
  fill(net);
  return calibrated(net, formula_images({images, 17, 15, 3}), march);
}

/// Activations of that type, "int8" to "int2" or "int16".
inline quant::QConfig activations_of(const std::string& dtype) {
  return quant::get_default_qconfig({.activation_qkwargs = {{"dtype", dtype}}});
}

/// Slopes of a PReLU, of either sign.
inline void fill_slopes(const nn::PReLU& act) {
  Tensor slopes = act.weight.tensor();
  for (int i = 0; i < slopes.elements(); ++i) slopes.mutable_data<float>()[i] = 0.25f * static_cast<float>(i - 2);
}

/// The layers of MoreLayers, calibrated.
inline quant::PreparedModel more_layers(const quant::March& march = quant::March::bayes,
                                        const std::string& dtype = "int8") {
  MoreLayers net;
  fill(net);
  fill_slopes(net.act);
  return calibrated(net, formula_images({4, 16, 16, 3}), march, activations_of(dtype));
}

/// Inputs of AllTogether.
inline std::vector<Tensor> inputs_together(int64_t count) {
  return {formula_images({count, 16, 16, 3}), formula_images({count, 8, 8, 4})};
}

inline AllTogether all_together() {
  AllTogether net;
  fill(net);
  fill_slopes(net.act);
  Tensor bias = net.attention.squeeze.bias.tensor();
  bias.copy_from(Tensor::full(bias.shape(), 0.4f));  // or its ReLU would let nothing through
  return net;
}

}  // namespace sinter::test
