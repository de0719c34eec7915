#pragma once
// One layer on integers, without a network around it.

#include "../../../quant/layers/list.h"
#include "../../support.h"

namespace sinter::test {

/// An instruction with that operation.
template <class T>
quant::Instruction instruction(const char* layer, const T& op, std::vector<quant::Rescaling> rescale = {}) {
  quant::Instruction step;
  step.layer = layer;
  step.op = std::make_shared<const T>(op);
  step.rescale = std::move(rescale);
  return step;
}

/// Its output for integers x, of the shape that the operation infers, within `bounds` of `type`.
inline Tensor run(const quant::Instruction& step, const std::vector<Tensor>& x, DType type, const quant::Bounds& bounds,
                  const quant::Arithmetic& march = quant::March::nash) {
  Specs specs;
  for (const Tensor& each : x) specs.push_back({DType::float32, each.shape()});
  const Shape shape = step.op->infer(specs)[0].shape;
  const quant::Grid y{1, bounds, type, type == DType::int16 ? 16 : 8};
  return quant::run_layer({step, x, shape, y, march});
}

}  // namespace sinter::test
