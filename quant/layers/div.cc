#include <cmath>

#include "../../core/ops/reciprocal.h"
#include "product.h"

namespace sinter::quant {

namespace {

/// The quotient by a parameter or numbers: the product with the integers of their reciprocals, on a scale of these.
class Div final : public Product {
 public:
  Div() : Product("div") {}

  Answer takes(const Graph& graph, const Node& node) const override {
    if (node.op->name() != "div") return not_mine();
    const Answer answer = takes_two(graph, node);
    if (!answer.takes || !node.inputs[1].is_activation()) return answer;
    return refused(
        "div by a tensor that is computed; write a * reciprocal(b), whose reciprocal has a scale of its own");
  }

  Tensor constant(const Node&, const Tensor& value) const override {
    const NoGrad no_grad;
    Tensor reciprocals = reciprocal(value);
    for (const float v : reciprocals.values<float>())
      sinter::check(std::isfinite(v), "the divisor has a zero, whose reciprocal is no number");
    return reciprocals;
  }
};

}  // namespace

const Layer& div_layer() {
  static const Div layer;
  return layer;
}

}  // namespace sinter::quant
