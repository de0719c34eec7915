#pragma once

#include "../op.h"

namespace sinter {

namespace ops {

/// Arithmetic on two float32 tensors, whose shapes broadcast as NumPy's do: aligned at the last axis, sizes equal or 1.
struct Arithmetic : Op {
  Specs infer(std::span<const Spec> x) const override;
  Aliasing aliasing() const override { return Aliasing::reuse; }
  /// Of two numbers, in double: what tables of integers are made from.
  virtual double at(double a, double b) const = 0;
};

struct Add final : Arithmetic {
  std::string_view name() const override { return "add"; }
  double at(double a, double b) const override { return a + b; }
  void forward(Inputs x, Outputs y, Context& context) const override;
  void backward(const Context& context, Outputs dy, Gradients& dx) const override;
};

struct Sub final : Arithmetic {
  std::string_view name() const override { return "sub"; }
  double at(double a, double b) const override { return a - b; }
  void forward(Inputs x, Outputs y, Context& context) const override;
  void backward(const Context& context, Outputs dy, Gradients& dx) const override;
};

struct Mul final : Arithmetic {
  std::string_view name() const override { return "mul"; }
  double at(double a, double b) const override { return a * b; }
  void forward(Inputs x, Outputs y, Context& context) const override;
  void backward(const Context& context, Outputs dy, Gradients& dx) const override;
  Aliasing aliasing() const override { return Aliasing::none; }  // backward needs both inputs
};

struct Div final : Arithmetic {
  std::string_view name() const override { return "div"; }
  double at(double a, double b) const override { return a / b; }
  void forward(Inputs x, Outputs y, Context& context) const override;
  void backward(const Context& context, Outputs dy, Gradients& dx) const override;
};

/// NaN where one is NaN. Of two that are equal each gets half of the gradient, as in PyTorch.
struct Minimum final : Arithmetic {
  std::string_view name() const override { return "minimum"; }
  double at(double a, double b) const override { return a < b || a != a ? a : b; }
  void forward(Inputs x, Outputs y, Context& context) const override;
  void backward(const Context& context, Outputs dy, Gradients& dx) const override;
  Aliasing aliasing() const override { return Aliasing::none; }  // backward needs both inputs
};

struct Maximum final : Arithmetic {
  std::string_view name() const override { return "maximum"; }
  double at(double a, double b) const override { return a > b || a != a ? a : b; }
  void forward(Inputs x, Outputs y, Context& context) const override;
  void backward(const Context& context, Outputs dy, Gradients& dx) const override;
  Aliasing aliasing() const override { return Aliasing::none; }
};

}  // namespace ops

/// Elementwise, with broadcasting; see ops::Arithmetic. Numbers are tensors without axes. A temporary on the left lends
/// its elements to the result.
Tensor operator+(Tensor a, const Tensor& b);
Tensor operator-(Tensor a, const Tensor& b);
Tensor operator*(const Tensor& a, const Tensor& b);
Tensor operator/(Tensor a, const Tensor& b);
Tensor operator+(Tensor a, double b);
Tensor operator-(Tensor a, double b);
Tensor operator*(const Tensor& a, double b);
Tensor operator/(Tensor a, double b);
Tensor operator+(double a, const Tensor& b);
Tensor operator-(double a, const Tensor& b);
Tensor operator*(double a, const Tensor& b);
Tensor operator/(double a, const Tensor& b);
Tensor operator-(const Tensor& a);
Tensor minimum(const Tensor& a, const Tensor& b);
Tensor maximum(const Tensor& a, const Tensor& b);
Tensor minimum(const Tensor& a, double b);
Tensor maximum(const Tensor& a, double b);
/// `a = a + b`: other handles to the elements that a had keep them.
Tensor& operator+=(Tensor& a, Tensor b);
Tensor& operator-=(Tensor& a, Tensor b);
Tensor& operator*=(Tensor& a, Tensor b);
Tensor& operator/=(Tensor& a, Tensor b);
Tensor& operator+=(Tensor& a, double b);
Tensor& operator-=(Tensor& a, double b);
Tensor& operator*=(Tensor& a, double b);
Tensor& operator/=(Tensor& a, double b);

}  // namespace sinter
