#pragma once

#include "../op.h"

namespace sinter {

namespace kernel {
struct Function;
}

namespace ops {

/// The kernel of a function of one number, and its parameters.
struct UnaryKernel {
  const kernel::Function& function;
  double a = 0, b = 0;
};

/// An operation of one tensor that is a function of each of its elements.
struct Pointwise {
  virtual ~Pointwise() = default;
  /// That function in double, from left to right as it is written: what tables of integers are made from.
  virtual double at(double x) const = 0;
};

namespace detail {
Specs infer_unary(std::string_view op, std::span<const Spec> x);
void forward_unary(const UnaryKernel& f, Inputs x, Outputs y, Context& context);
void backward_unary(const UnaryKernel& f, const Context& context, Outputs dy, Gradients& dx);
Aliasing aliasing_unary(const UnaryKernel& f);
}  // namespace detail

/// A function of each element of one float32 tensor of any shape: all but its name, its kernel and its value in
/// double. Base is Op, or
/// OpWith<Attributes>.
template <class Base>
struct UnaryOp : Base, Pointwise {
  using Base::Base;
  Specs infer(std::span<const Spec> x) const override { return detail::infer_unary(this->name(), x); }
  void forward(Inputs x, Outputs y, Context& context) const override { detail::forward_unary(kernel(), x, y, context); }
  void backward(const Context& context, Outputs dy, Gradients& dx) const override {
    detail::backward_unary(kernel(), context, dy, dx);
  }
  Aliasing aliasing() const override { return detail::aliasing_unary(kernel()); }
  virtual UnaryKernel kernel() const = 0;
};
using Unary = UnaryOp<Op>;
template <class Attributes>
using UnaryWith = UnaryOp<OpWith<Attributes>>;

}  // namespace ops

}  // namespace sinter
