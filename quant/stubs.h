#pragma once

#include <optional>

#include "../nn/module.h"

namespace sinter {

struct QuantStubAttributes {
  double scale = 0;  ///< 0: from what is observed
};
SINTER_FIELDS(QuantStubAttributes, scale)

namespace quant {

/// Where a network's input becomes integers, with a scale that is known: `QuantStub input{1.0 / 128}` for images within
/// [-1, 1]; without one, the input's qconfig finds it. In float it is the identity, as `DeQuantStub` is. Neither is
/// needed: an input without a stub has its qconfig's scale.
class QuantStub : public nn::Module {
 public:
  /// Throws Error for a scale that is below 2^-23 or not finite.
  explicit QuantStub(std::optional<double> scale = std::nullopt);
  Tensor forward(const Tensor& x) const override;
  std::string title() const override;
  SINTER_CHILDREN()

 private:
  QuantStubAttributes attributes_;
};

/// Where results become real numbers again.
class DeQuantStub : public nn::Module {
 public:
  Tensor forward(const Tensor& x) const override { return x; }
  std::string title() const override { return "DeQuantStub()"; }
  SINTER_CHILDREN()
};

/// What QuantStub traces: a view.
struct QuantStubOp final : OpWith<QuantStubAttributes> {
  using OpWith::OpWith;
  std::string_view name() const override { return "quant_stub"; }
  Specs infer(std::span<const Spec> x) const override { return {x[0]}; }
  void forward(Inputs, Outputs, Context&) const override {}
  void backward(const Context&, Outputs dy, Gradients& dx) const override { dx.set(0, std::move(dy[0])); }
  Aliasing aliasing() const override { return Aliasing::view; }
};

}  // namespace quant
}  // namespace sinter
