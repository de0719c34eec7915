#include "layer.h"

#include "../integer/values.h"

namespace sinter::quant {

namespace {

Specs real_outputs(const Op& op, std::span<const Spec> inputs) {
  Specs specs(inputs.begin(), inputs.end());
  for (Spec& spec : specs) spec.dtype = DType::float32;
  return op.infer(specs);
}

// The real values of a layer's inputs.
std::vector<Tensor> real_inputs(Inputs inputs, const std::vector<Grid>& grids) {
  std::vector<Tensor> real;
  size_t next = 0;
  for (const Tensor& input : inputs)
    real.push_back(input.dtype() == DType::float32 ? input : dequantize(input, grids[next++].scale));
  return real;
}

}  // namespace

Specs RealLayer::infer(std::span<const Spec> inputs) const { return real_outputs(*op, inputs); }

void RealLayer::forward(Inputs inputs, Outputs y, Context& context) const {
  op->forward(real_inputs(inputs, x), y, context);
}

void RealLayer::backward(const Context& context, Outputs dy, Gradients& dx) const { op->backward(context, dy, dx); }

Specs PassingLayer::infer(std::span<const Spec> inputs) const {
  Specs specs = real_outputs(*op, inputs);
  specs[0].dtype = inputs[0].dtype;
  return specs;
}

void PassingLayer::forward(Inputs inputs, Outputs y_out, Context& context) const {
  if (op->aliasing() == Aliasing::view) return op->forward(inputs, y_out, context);
  if (context.recording() && layer_named(step.layer).remembers()) {
    Tensor v = Tensor::empty(y_out[0].shape());
    op->forward(real_inputs(inputs, x), {&v, 1}, context);
  }
  y_out[0].copy_from(run_layer({step, inputs, y_out[0].shape(), y, *march}));
}

void PassingLayer::backward(const Context& context, Outputs dy, Gradients& dx) const { op->backward(context, dy, dx); }

}  // namespace sinter::quant
