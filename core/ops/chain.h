#pragma once
// Private: elementwise operations that follow one another, as one.

#include <memory>
#include <vector>

#include "unary.h"

namespace sinter::ops {

/// A function of each element of one float32 tensor: steps of functions of one value (Pointwise) and of arithmetic,
/// each on the input, numbers and the steps before it. The last step is the result. In files and tables the attributes
/// are, for step 2: `2.op=mul 2.operands=[0,-2] 2.number=0.5 2.<attribute>`.
class Chain final : public Op, public Pointwise {
 public:
  /// Operands that are no earlier steps.
  static constexpr int64_t kInput = -1, kNumber = -2;
  struct Step {
    std::shared_ptr<const Op> op;
    std::vector<int64_t> operands;
    double number = 0;  ///< a float32
  };

  /// Throws Error for steps that are none of these.
  explicit Chain(std::vector<Step> steps);
  /// From the attributes that `fields` gave. Throws Error for others.
  static std::shared_ptr<const Op> from(std::span<const Field> fields);
  /// Whether an operation can be a step, on so many operands.
  static bool is_step(const Op& op, size_t operands);

  const std::vector<Step>& steps() const { return steps_; }
  std::string_view name() const override { return "chain"; }
  std::vector<Field> fields() const override;
  Specs infer(std::span<const Spec> x) const override { return detail::infer_unary(name(), x); }
  void forward(Inputs x, Outputs y, Context& context) const override;
  void backward(const Context& context, Outputs dy, Gradients& dx) const override;
  double at(double x) const override;

 private:
  Tensor run(const Tensor& x) const;

  std::vector<Step> steps_;
};

}  // namespace sinter::ops
