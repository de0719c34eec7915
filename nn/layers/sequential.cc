#include "sequential.h"

namespace sinter::nn {

Sequential::Sequential(const Sequential& other) : Module(other) {
  layers_.reserve(other.layers_.size());
  for (const Layer& layer : other.layers_) layers_.push_back({layer.clone(*layer.module), layer.clone});
}

Sequential& Sequential::operator=(const Sequential& other) { return *this = Sequential(other); }

const Module& Sequential::operator[](int64_t i) const {
  check(i >= 0 && i < size(), "Sequential: there is no module ", i, " of ", size());
  return *layers_[i].module;
}

Tensor Sequential::forward(const Tensor& x) const {
  Tensor y = x;
  for (const Layer& layer : layers_) y = (*layer.module)(y);
  return y;
}

void Sequential::members(MemberVisitor& visitor) const {
  for (size_t i = 0; i < layers_.size(); ++i) visitor.module(std::to_string(i), *layers_[i].module);
}

}  // namespace sinter::nn
