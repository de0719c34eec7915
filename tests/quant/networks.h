#pragma once
// Small networks for the tests of quantisation, and operations that they need.

#include "../../core/ops/arithmetic.h"
#include "../../core/ops/flatten.h"
#include "../../core/ops/max_pool2d.h"
#include "../../core/ops/reduce.h"
#include "../../core/ops/relu.h"
#include "../../core/ops/relu6.h"
#include "../../core/random.h"
#include "../../nn/layers/basic_block.h"
#include "../../nn/layers/linear.h"
#include "../../quant/prepare.h"
#include "../support.h"

namespace sinter::test {

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
    const Tensor first = relu6(stem(x)), second = relu6(bn(depthwise(first)));
    const Tensor sum = first + second, both = relu(sum + sum);
    const Tensor small = wide(max_pool2d(grouped(both), {.kernel = 2}));
    return head(relu(hidden(flatten(small))));
  }
};

/// A range for every tensor of a prepared model, in place of a calibration.
inline void set_ranges(const quant::PreparedModel& model, float reach = 1) {
  int i = 0;
  for (const quant::ActivationQuantizer* quantizer : model.quantizers()) {
    Tensor range = quantizer->range_state.tensor(), seen = quantizer->seen_state.tensor();
    range.mutable_data<float>()[0] = -0.5f * reach;
    range.mutable_data<float>()[1] = reach * (1 + static_cast<float>(i++ % 5) * 0.37f);
    seen.mutable_data<int64_t>()[0] = 100;
    seen.mutable_data<int64_t>()[1] = 100;
  }
}

inline SmallNet small_net(uint64_t seed = 1) { return randomized(SmallNet{}, seed); }

}  // namespace sinter::test
