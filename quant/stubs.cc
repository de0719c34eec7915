#include "stubs.h"

#include <cmath>

#include "contract.h"

namespace sinter::quant {

QuantStub::QuantStub(std::optional<double> scale) : attributes_{scale.value_or(0)} {
  check(!scale || (std::isfinite(*scale) && *scale >= double{kMinScale}), "QuantStub: scale is ", scale.value_or(0),
        ", expected at least 2^-23 and finite");
}

Tensor QuantStub::forward(const Tensor& x) const { return call(QuantStubOp{attributes_}, x); }

std::string QuantStub::title() const {
  return attributes_.scale == 0 ? "QuantStub()" : text("QuantStub(scale=", attributes_.scale, ")");
}

}  // namespace sinter::quant
