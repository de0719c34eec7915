#pragma once

#include "../../core/called.h"
#include "../../core/required.h"
#include "../module.h"

namespace sinter::nn {

struct LinearOptions {
  Required<int64_t> in;
  ItIsCalledIn in_features{};
  Required<int64_t> out;
  ItIsCalledOut out_features{};
  bool bias = true;
};

/// x weight^T + bias for x [...,in]. Both start uniform in +-1/sqrt(in), as in PyTorch.
class Linear : public Module {
 public:
  /// Throws Error for sizes below 1.
  Linear(LinearOptions options);

  Tensor forward(const Tensor& x) const override;
  std::string title() const override;
  SINTER_CHILDREN(weight, bias)

  Parameter weight;  ///< [out,in]
  Parameter bias;    ///< [out], or undefined
};

}  // namespace sinter::nn
