#pragma once
// Small networks for the tests of quantisation, and operations that they need.

#include <algorithm>

#include "../../core/ops/arithmetic.h"
#include "../../core/ops/reduce.h"
#include "../../core/ops/relu.h"
#include "../../core/random.h"
#include "../../nn/layers/basic_block.h"
#include "../../nn/layers/linear.h"
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

inline SmallNet small_net(uint64_t seed = 1) { return randomized(SmallNet{}, seed); }

}  // namespace sinter::test
