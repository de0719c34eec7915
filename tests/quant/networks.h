#pragma once
// Small networks for the tests of quantisation, and operations that they need.

#include <algorithm>

#include "../../core/ops/arithmetic.h"
#include "../../core/ops/reduce.h"
#include "../../core/ops/relu.h"
#include "../../core/random.h"
#include "../../nn/layers/basic_block.h"
#include "../../nn/layers/linear.h"
#include "../../quant/prepare.h"
#include "../support.h"

namespace sinter::test {

/// min(max(x, 0), 6).
struct Clipped final : Op {
  std::string_view name() const override { return "relu6"; }
  Specs infer(std::span<const Spec> x) const override { return {x[0]}; }
  void forward(Inputs x, Outputs y, Context& context) const override {
    context.keep(x[0]);
    for (int64_t i = 0; i < x[0].elements(); ++i)
      y[0].mutable_data<float>()[i] = std::clamp(x[0].data<float>()[i], 0.0f, 6.0f);
  }
  void backward(const Context& context, Outputs dy, Gradients& dx) const override {
    const Tensor x = context.kept(0);
    float* out = dx.create(0).mutable_data<float>();
    for (int64_t i = 0; i < x.elements(); ++i)
      out[i] = x.data<float>()[i] > 0 && x.data<float>()[i] < 6 ? dy[0].data<float>()[i] : 0;
  }
};
inline Tensor clipped(const Tensor& x) { return call(Clipped{}, x); }

/// Largest of each 2x2 window of [N,H,W,C], H and W even.
struct Pool final : Op {
  std::string_view name() const override { return "max_pool2d"; }
  Specs infer(std::span<const Spec> x) const override {
    const Shape& s = x[0].shape;
    return {{x[0].dtype, {s[0], s[1] / 2, s[2] / 2, s[3]}}};
  }
  void forward(Inputs x, Outputs y, Context& context) const override {
    context.keep(x[0]);
    each(x[0], [&](int64_t to, int64_t from) { y[0].mutable_data<float>()[to] = x[0].data<float>()[from]; });
  }
  void backward(const Context& context, Outputs dy, Gradients& dx) const override {
    const Tensor x = context.kept(0);
    Tensor& gradient = dx.create(0);
    gradient.copy_from(Tensor::zeros(x.shape()));
    each(x, [&](int64_t to, int64_t from) { gradient.mutable_data<float>()[from] += dy[0].data<float>()[to]; });
  }

 private:
  template <class F>
  static void each(const Tensor& x, const F& f) {
    const int64_t height = x.size(1), width = x.size(2), channels = x.size(3), count = x.elements() / 4;
    for (int64_t i = 0; i < count; ++i) {
      const int64_t c = i % channels, w = i / channels % (width / 2), row = i / channels / (width / 2);
      const int64_t n = row / (height / 2), h = row % (height / 2);
      int64_t best = -1;
      for (int64_t k = 0; k < 4; ++k) {
        const int64_t at = ((n * height + 2 * h + k / 2) * width + 2 * w + k % 2) * channels + c;
        if (best < 0 || x.data<float>()[at] > x.data<float>()[best]) best = at;
      }
      f(i, best);
    }
  }
};
inline Tensor pool(const Tensor& x) { return call(Pool{}, x); }

/// [N,...] to [N,K].
struct Flat final : Op {
  std::string_view name() const override { return "flatten"; }
  Specs infer(std::span<const Spec> x) const override {
    int64_t each = 1;
    for (int axis = 1; axis < x[0].shape.rank(); ++axis) each *= x[0].shape[axis];
    return {{x[0].dtype, {x[0].shape[0], each}}};
  }
  void forward(Inputs, Outputs, Context&) const override {}
  void backward(const Context& context, Outputs dy, Gradients& dx) const override {
    Tensor& gradient = dx.create(0);
    std::copy_n(dy[0].data<float>(), dy[0].elements(), gradient.mutable_data<float>());
    static_cast<void>(context);
  }
  Aliasing aliasing() const override { return Aliasing::view; }
};
inline Tensor flat(const Tensor& x) { return call(Flat{}, x); }

/// An operation that no BPU layer is.
struct Square final : Op {
  std::string_view name() const override { return "square"; }
  Specs infer(std::span<const Spec> x) const override { return {x[0]}; }
  void forward(Inputs x, Outputs y, Context&) const override {
    for (int64_t i = 0; i < x[0].elements(); ++i)
      y[0].mutable_data<float>()[i] = x[0].data<float>()[i] * x[0].data<float>()[i];
  }
};

/// Parameters and running statistics as after some training; uniform numbers, the same on every machine.
template <class Model>
Model randomized(Model model, uint64_t seed = 1) {
  for (auto& [name, parameter] : model.named_state()) {
    Random random(seed, stream_of(name));
    const bool norm = parameter.tensor().rank() == 1, positive = name.ends_with("var") || name.ends_with("bn.weight");
    const int64_t fan = norm ? 4 : parameter.tensor().elements() / parameter.tensor().size(0);
    const double reach = norm ? 0.3 : 1.5 / std::sqrt(static_cast<double>(fan));
    parameter.tensor().copy_from(
        Tensor::uniform(parameter.tensor().shape(), random, positive ? 0.5 : -reach, positive ? 1.5 : reach));
  }
  return model;
}

inline Tensor images(const Shape& shape, uint64_t seed = 1, double reach = 1) {
  Random random(seed, stream_of("images"));
  return Tensor::uniform(shape, random, -reach, reach);
}

/// Two residual blocks, of which the second changes the shape, between a stem and a linear head.
struct SmallNet : nn::Module {
  nn::Conv2d stem{{.in = 3, .out = 8, .kernel = 3, .padding = 1, .bias = false}};
  nn::BatchNorm2d bn{8};
  std::vector<nn::BasicBlock> body{{{.in = 8, .out = 8}}, {{.in = 8, .out = 16, .stride = 2}}};
  nn::Linear head{{.in = 16, .out = 5}};
  SINTER_CHILDREN(stem, bn, body, head)

  Tensor forward(const Tensor& x) const override {
    Tensor y = relu(bn(stem(x)));
    for (const auto& block : body) y = block(y);
    return head(mean(y, {1, 2}));
  }
};

/// One of every kind of layer: depthwise and grouped convolutions, ReLU6, additions and activations that no
/// convolution takes in, max pooling, flatten.
struct EveryLayer : nn::Module {
  nn::Conv2d stem{{.in = 3, .out = 8, .kernel = 3, .padding = 1}};
  nn::Conv2d depthwise{{.in = 8, .out = 8, .kernel = 3, .padding = 1, .groups = 8}};
  nn::Conv2d grouped{{.in = 8, .out = 8, .kernel = 3, .stride = 2, .padding = 2, .dilation = 2, .groups = 2}};
  nn::Conv2d wide{{.in = 8, .out = 6, .kernel = Pair{1, 3}, .padding = Pair{0, 1}}};
  nn::Linear hidden{{.in = 24, .out = 9}}, head{{.in = 9, .out = 4}};
  nn::BatchNorm2d bn{8};
  SINTER_CHILDREN(stem, depthwise, grouped, wide, hidden, head, bn)

  Tensor forward(const Tensor& x) const override {
    const Tensor first = clipped(stem(x)), second = clipped(bn(depthwise(first)));
    const Tensor sum = first + second, both = relu(sum + sum);
    const Tensor small = wide(pool(grouped(both)));
    return head(relu(hidden(flat(small))));
  }
};

/// A range for every tensor of a prepared model, in place of a calibration.
inline void set_ranges(const quant::PreparedModel& model, float reach = 1) {
  int i = 0;
  for (const quant::ActivationQuantizer* quantizer : model.quantizers()) {
    Tensor range = quantizer->range_state.tensor(), seen = quantizer->seen_state.tensor();
    range.mutable_data<float>()[0] = -0.5f * reach;
    range.mutable_data<float>()[1] = reach * (1 + static_cast<float>(i++ % 5) * 0.37f);
    seen.mutable_data<int64_t>()[0] = 1;
    seen.mutable_data<int64_t>()[1] = 100;
  }
}

inline SmallNet small_net(uint64_t seed = 1) { return randomized(SmallNet{}, seed); }

}  // namespace sinter::test
