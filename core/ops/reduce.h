#pragma once

#include "../op.h"

namespace sinter {

struct ReduceAttributes {
  std::vector<int64_t> axes{};  ///< negative ones count from the last; none: all
  bool keep = false;            ///< reduced axes stay, with size 1
};
SINTER_FIELDS(ReduceAttributes, axes, keep)

namespace ops {

/// A reduction of a float32 tensor over some axes.
struct Reduce : OpWith<ReduceAttributes> {
  using OpWith::OpWith;
  Specs infer(std::span<const Spec> x) const override;
};

struct Sum final : Reduce {
  using Reduce::Reduce;
  std::string_view name() const override { return "sum"; }
  void forward(Inputs x, Outputs y, Context& context) const override;
  void backward(const Context& context, Outputs dy, Gradients& dx) const override;
};

struct Mean final : Reduce {
  using Reduce::Reduce;
  std::string_view name() const override { return "mean"; }
  void forward(Inputs x, Outputs y, Context& context) const override;
  void backward(const Context& context, Outputs dy, Gradients& dx) const override;
};

/// NaN where there is one. The gradient is shared evenly by equal maxima, as in PyTorch's amax.
struct Max final : Reduce {
  using Reduce::Reduce;
  std::string_view name() const override { return "max"; }
  Specs infer(std::span<const Spec> x) const override;
  void forward(Inputs x, Outputs y, Context& context) const override;
  void backward(const Context& context, Outputs dy, Gradients& dx) const override;
};

/// As Max.
struct Min final : Reduce {
  using Reduce::Reduce;
  std::string_view name() const override { return "min"; }
  Specs infer(std::span<const Spec> x) const override;
  void forward(Inputs x, Outputs y, Context& context) const override;
  void backward(const Context& context, Outputs dy, Gradients& dx) const override;
};

}  // namespace ops

/// Sum, mean, largest and least value over some axes (none given: over all); with `keep` they stay as axes of size 1.
Tensor sum(const Tensor& x, std::vector<int64_t> axes = {}, bool keep = false);
Tensor mean(const Tensor& x, std::vector<int64_t> axes = {}, bool keep = false);
Tensor max(const Tensor& x, std::vector<int64_t> axes = {}, bool keep = false);
Tensor min(const Tensor& x, std::vector<int64_t> axes = {}, bool keep = false);

}  // namespace sinter
