#pragma once
// Private: layers that are no convolutions, in QAT: forward is the integer program's own, backward the float
// operation's.

#include "../layers/list.h"
#include "output.h"

namespace sinter::quant {

/// A node's float operation on the real values of integers: what its observer sees and its gradient comes from. Inputs
/// that are float32 already are parameters and constants.
struct RealLayer final : Op {
  std::shared_ptr<const Op> op;
  std::vector<Grid> x;  ///< of the inputs that are integers

  std::string_view name() const override { return op->name(); }
  Specs infer(std::span<const Spec> inputs) const override;
  void forward(Inputs inputs, Outputs y, Context& context) const override;
  void backward(const Context& context, Outputs dy, Gradients& dx) const override;
};

/// A layer whose output is on its input's scale (max pooling, ReLU, reshape, slices, resizing): integers to integers.
struct PassingLayer final : Op {
  std::shared_ptr<const Op> op;
  Instruction step;
  std::vector<Grid> x;
  Grid y;
  const Arithmetic* march = nullptr;

  std::string_view name() const override { return op->name(); }
  Specs infer(std::span<const Spec> inputs) const override;
  void forward(Inputs inputs, Outputs y, Context& context) const override;
  void backward(const Context& context, Outputs dy, Gradients& dx) const override;
  Aliasing aliasing() const override { return op->aliasing() == Aliasing::view ? Aliasing::view : Aliasing::none; }
};

}  // namespace sinter::quant
