#include "transformer_block.h"

#include "../../core/ops/arithmetic.h"
#include "../../core/ops/gelu.h"

namespace sinter::nn {

TransformerBlock::TransformerBlock(TransformerBlockOptions o)
    : norm1(o.channels, 1e-6),
      attention({.channels = o.channels, .heads = o.heads}),
      norm2(o.channels, 1e-6),
      expand({.in = o.channels, .out = o.hidden}),
      contract({.in = o.hidden, .out = o.channels}) {}

Tensor TransformerBlock::forward(const Tensor& x) const {
  const Tensor y = x + attention(norm1(x));
  return y + contract(gelu(expand(norm2(y))));
}

}  // namespace sinter::nn
