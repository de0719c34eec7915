#pragma once
// Networks without ReLU6, for the tests of post-training methods.

#include "../../../core/ops/concat.h"
#include "../../../core/ops/hardswish.h"
#include "../../../core/ops/pad.h"
#include "../../../core/ops/resize.h"
#include "../../../core/ops/sigmoid.h"
#include "../../../core/ops/slice.h"
#include "../../../nn/layers/conv_transpose2d.h"
#include "../../../nn/layers/max_pool2d.h"
#include "../../../nn/layers/prelu.h"
#include "../networks.h"

namespace sinter::test {

/// Convolution, depthwise and grouped convolution, max pooling, flatten and two linear layers in a row.
struct ChainNet : nn::Module {
  nn::Conv2d stem{{.in = 3, .out = 8, .kernel = 3, .padding = 1, .bias = false}};
  nn::BatchNorm2d bn{8};
  nn::Conv2d depthwise{{.in = 8, .out = 8, .kernel = 3, .padding = 1, .groups = 8}};
  nn::Conv2d grouped{{.in = 8, .out = 12, .kernel = 3, .stride = 2, .padding = 1, .groups = 2}};
  nn::MaxPool2d pool{{.kernel = 2}};
  nn::Linear hidden{{.in = 48, .out = 10}}, head{{.in = 10, .out = 5}};
  SINTER_CHILDREN(stem, bn, depthwise, grouped, pool, hidden, head)

  Tensor forward(const Tensor& x) const override {
    Tensor y = pool(relu(grouped(relu(depthwise(relu(bn(stem(x))))))));
    return head(relu(hidden(flatten(y))));
  }
};

/// Two inverted residuals with ReLU, the second around which the input is added to a convolution without activation.
struct InvertedNet : nn::Module {
  struct Block : nn::Module {
    nn::Conv2d expand, depthwise, project;
    nn::BatchNorm2d expand_bn, depthwise_bn, project_bn;
    bool adds;
    SINTER_CHILDREN(expand, expand_bn, depthwise, depthwise_bn, project, project_bn)

    Block(int64_t in, int64_t out)
        : expand({.in = in, .out = 2 * in, .kernel = 1, .bias = false}),
          depthwise({.in = 2 * in, .out = 2 * in, .kernel = 3, .padding = 1, .groups = 2 * in, .bias = false}),
          project({.in = 2 * in, .out = out, .kernel = 1, .bias = false}),
          expand_bn(2 * in),
          depthwise_bn(2 * in),
          project_bn(out),
          adds(in == out) {}
    Tensor forward(const Tensor& x) const override {
      const Tensor y = project_bn(project(relu(depthwise_bn(depthwise(relu(expand_bn(expand(x))))))));
      return adds ? x + y : y;
    }
  };
  nn::Conv2d stem{{.in = 3, .out = 4, .kernel = 3, .padding = 1, .bias = false}};
  nn::BatchNorm2d bn{4};
  std::vector<Block> body{{4, 6}, {6, 6}, {6, 6}};
  nn::Linear head{{.in = 6, .out = 5}};
  SINTER_CHILDREN(stem, bn, body, head)

  Tensor forward(const Tensor& x) const override {
    Tensor y = relu(bn(stem(x)));
    for (const auto& block : body) y = block(y);
    return head(mean(y, {1, 2}));
  }
};

/// A transposed convolution with batch normalisation and an addition, among layers that are no convolutions: a product
/// that broadcasts, a table, PReLU, concatenation, resizing, a slice, a border.
struct UpNet : nn::Module {
  nn::Conv2d down{{.in = 3, .out = 8, .kernel = 3, .stride = 2, .padding = 1}};
  nn::Conv2d beside{{.in = 3, .out = 6, .kernel = 3, .padding = 1}};
  nn::ConvTranspose2d up{{.in = 8, .out = 6, .kernel = 4, .stride = 2, .padding = 1, .bias = false}};
  nn::BatchNorm2d bn{6};
  nn::PReLU act{{.channels = 6}};
  nn::Conv2d wide{{.in = 14, .out = 8, .kernel = 3}};
  nn::Linear head{{.in = 8, .out = 5}};
  SINTER_CHILDREN(down, beside, up, bn, act, wide, head)

  Tensor forward(const Tensor& x) const override {
    const Tensor small = relu(down(x));
    const Tensor large = act(bn(up(small)) + beside(x));
    const Tensor both = concat({large * sigmoid(mean(large, {1, 2}, true)), resize_bilinear(small, 2)});
    const Tensor part =
        slice(pad(both, {.before = {0, 1, 0, 0}, .after = {0, 0, 0, 0}, .value = 0.3}), {.axis = 2, .end = 6});
    return head(mean(hardswish(wide(part)), {1, 2}));
  }
};

/// The function of a prepared model's float parameters; nothing is observed.
inline Tensor float_output(const quant::PreparedModel& model, const Tensor& x) {
  const NoGrad no_grad;
  return model.graph()(x);
}

/// 10 log10 of the power of `expected` over that of the difference: decibels.
inline double sqnr(const Tensor& actual, const Tensor& expected) {
  double signal = 0, noise = 0;
  for (int64_t i = 0; i < expected.elements(); ++i) {
    const double v = expected.data<float>()[i], error = actual.data<float>()[i] - v;
    signal += v * v;
    noise += error * error;
  }
  return 10 * std::log10(signal / noise);
}

/// After a calibration on x, how close the integers come to the float outputs for x.
inline double quantized_sqnr(quant::PreparedModel model, const Tensor& x) {
  const NoGrad no_grad;
  quant::set_fake_quantize(model, quant::FakeQuantState::calibration);
  const Tensor expected = model(x);
  quant::set_fake_quantize(model, quant::FakeQuantState::validation);
  return sqnr(model(x), expected);
}

/// A layer's parameters in a prepared model, sharing its elements.
inline Tensor parameter(const quant::PreparedModel& model, const std::string& name) {
  for (const auto& p : model.graph().parameters)
    if (p.name == name) return p.value.tensor();
  fail("no parameter ", name);
}

}  // namespace sinter::test
