#include "product.h"

namespace sinter::quant {

namespace {

/// The product of two tensors, or of one and a parameter or numbers.
class Mul final : public Product {
 public:
  Mul() : Product("mul") {}

  Answer takes(const Graph& graph, const Node& node) const override {
    return node.op->name() == "mul" ? takes_two(graph, node) : not_mine();
  }
};

}  // namespace

const Layer& mul_layer() {
  static const Mul layer;
  return layer;
}

}  // namespace sinter::quant
