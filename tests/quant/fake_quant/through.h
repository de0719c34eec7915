#pragma once
// One tensor through a fake-quant, as QAT runs it.

#include "../../../quant/ops/conv.h"
#include "../../../quant/ops/input.h"
#include "../../support.h"

namespace sinter::test {

struct FakeQuantized {
  Tensor y, dx, dlearned;
};

/// A tensor of activations, with the scale that the quantiser has.
inline FakeQuantized fake_quantized(const quant::ActivationQuantizer& quantizer, const Tensor& x, const Tensor& dy,
                                    const quant::Arithmetic& march = quant::March::bayes) {
  const quant::Pass pass{&march};
  quant::Quantize op;
  op.output = &quantizer;
  op.learning = quantizer.learning();
  op.pass = &pass;
  quant::Dequantize back;
  back.scale = quantizer.scale(march);
  Tensor leaf = x.clone(), number = quantizer.learned.tensor().clone();
  leaf.set_requires_grad(true);
  number.set_requires_grad(true);
  const Tensor y = call(back, call(op, leaf, number));
  y.backward(dy);
  return {y.detach(), leaf.grad(), number.grad()};
}

/// Weights [O,...] with one scale a channel, by a linear layer that multiplies them with ones, each alone.
inline FakeQuantized fake_quantized(const quant::WeightQuantizer& quantizer, const Tensor& weight, const Tensor& dy,
                                    const quant::Arithmetic& march = quant::March::bayes) {
  const int64_t outputs = weight.size(0), each = weight.elements() / outputs;
  const auto transposed = [](const Tensor& t) {
    Tensor result = Tensor::empty({t.size(1), t.size(0)});
    for (int64_t i = 0; i < t.elements(); ++i)
      result.mutable_data<float>()[i % t.size(1) * t.size(0) + i / t.size(1)] = t.data<float>()[i];
    return result;
  };
  Tensor ones = Tensor::zeros({each, each}, DType::int8);
  for (int64_t i = 0; i < each; ++i) ones.mutable_data<int8_t>()[i * (each + 1)] = 1;
  const quant::Pass pass{&march};
  quant::QuantizedConv op;
  op.node = "weights";
  op.conv.linear = true;
  op.weights = &quantizer;
  op.weights_learning = quantizer.learning();
  op.pass = &pass;
  Tensor leaf = Tensor::from({outputs, each}, weight.values<float>()), number = quantizer.learned.tensor().clone();
  leaf.set_requires_grad(true);
  number.set_requires_grad(true);
  const Tensor y = call(op, ones, leaf, Tensor::zeros({outputs}), number);
  y.backward(transposed(Tensor::from({outputs, each}, dy.values<float>())));
  return {Tensor::from(weight.shape(), transposed(y.detach()).values<float>()),
          Tensor::from(weight.shape(), leaf.grad().values<float>()), number.grad()};
}

/// How tensors of a kind are quantised by a fake-quant of that name.
inline quant::TensorConfig fake_quant_config(const std::string& name, const std::string& dtype,
                                             const quant::Keywords& more = {}) {
  auto keywords = more.values();
  keywords["dtype"] = dtype;
  return *quant::get_default_qconfig({.activation_fake_quant = name, .activation_qkwargs = quant::Keywords(keywords)})
              .activation;
}

}  // namespace sinter::test
