#pragma once
// Small prepared networks for the tests of bpu/.

#include <cmath>
#include <string>

#include "../../core/ops/arithmetic.h"
#include "../../core/ops/reduce.h"
#include "../../core/ops/relu.h"
#include "../../nn/layers/basic_block.h"
#include "../../nn/layers/linear.h"
#include "../../nn/layers/max_pool2d.h"
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

inline quant::PreparedModel calibrated(const nn::Module& model, const Tensor& x, const quant::March& march) {
  auto prepared = quant::prepare_qat(model, x, {.march = march});
  quant::set_fake_quantize(prepared, quant::FakeQuantState::calibration);
  prepared(x);
  quant::set_fake_quantize(prepared, quant::FakeQuantState::validation);
  return prepared;
}

/// Every layer, calibrated.
inline quant::PreparedModel every_layer(const quant::March& march = quant::March::bayes, int64_t images = 4) {
  EveryInstruction net;
  fill(net);
  return calibrated(net, formula_images({images, 17, 15, 3}), march);
}

}  // namespace sinter::test
