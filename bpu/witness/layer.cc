#include "layer.h"

#include <algorithm>

namespace sinter::bpu::witness {

#define SINTER_LAYER(name) const Twin& name##_twin();
#include "quant/layers.inc"
#undef SINTER_LAYER

const Twin& twin_of(const Instruction& step) {
#define SINTER_LAYER(name) \
  if (step.layer == #name) return name##_twin();
#include "quant/layers.inc"
#undef SINTER_LAYER
  fail("reference: it has no twin of the layer '", step.layer, "'; compare with the simulator alone");
}

std::vector<quant::Rescaling> Twin::rescalings(const Site&) const { return {}; }
void Twin::bound(const Site&, int64_t&, int64_t&) const {}
std::string Twin::wrong(const Site&) const { return {}; }

Plain plain(const Tensor& integers) {
  Plain result{integers.shape(), {}};
  if (integers.dtype() == DType::int16)
    for (const int16_t q : integers.values<int16_t>()) result.values.push_back(q);
  else
    for (const int8_t q : integers.values<int8_t>()) result.values.push_back(q);
  return result;
}

int64_t images(const std::vector<const Plain*>& in) {
  int64_t count = 1;
  for (const Plain* each : in)
    if (each->shape[0] != 1) count = each->shape[0];
  return count;
}

int64_t offset(const Shape& shape, const Index& index) {
  int64_t at = 0;
  for (int axis = 0; axis < shape.rank(); ++axis) at = at * shape[axis] + index[static_cast<size_t>(axis)];
  return at;
}

int64_t value_at(const Plain& x, const Index& index) { return x.values[static_cast<size_t>(offset(x.shape, index))]; }

Plain Product::run(const Site& site, const std::vector<const Plain*>& in, const Shape& shape) const {
  const Plain a = broadcast(*in[0], shape), b = broadcast(*in[1], shape);
  return rescaled(site, shape, [&](const Index& at) { return Term{value_at(a, at) * value_at(b, at)}; });
}

std::vector<quant::Rescaling> Product::rescalings(const Site& site) const {
  return {Datapath(site.program.march).accumulator(exact(site.x(0).scale) * exact(site.x(1).scale), site.y())};
}

Plain broadcast(const Plain& x, const Shape& shape) {
  check(x.shape.rank() == shape.rank(), "reference: an operand is ", x.shape, ", its result ", shape,
        ", expected one rank");
  return made(shape, [&](Index at) {
    for (int axis = 0; axis < shape.rank(); ++axis) {
      int64_t& place = at[static_cast<size_t>(axis)];
      place = std::min(place, x.shape[axis] - 1);
    }
    return value_at(x, at);
  });
}

Windows::Windows(const Attributes& a, const std::array<int64_t, 2>& size)
    : kernel(size), stride(a.pair("stride")), padding(a.pair("padding")) {
  if (a.find("dilation") != nullptr) dilation = a.pair("dilation");
}

}  // namespace sinter::bpu::witness
