#include "multi_head_attention.h"

#include <cmath>

#include "../../core/ops/arithmetic.h"
#include "../../core/ops/matmul.h"
#include "../../core/ops/permute.h"
#include "../../core/ops/reshape.h"
#include "../../core/ops/softmax.h"

namespace sinter::nn {

MultiHeadAttention::MultiHeadAttention(MultiHeadAttentionOptions o)
    : query({.in = o.channels, .out = o.channels}),
      key({.in = o.channels, .out = o.channels}),
      value({.in = o.channels, .out = o.channels}),
      out({.in = o.channels, .out = o.channels}),
      heads_(o.heads) {
  check(o.heads >= 1 && o.channels % o.heads == 0, "MultiHeadAttention: ", o.heads.value(), " heads do not divide ",
        o.channels.value(), " channels");
  depth_ = o.channels / o.heads;
}

Tensor MultiHeadAttention::forward(const Tensor& x) const {
  check(x.rank() == 3, "MultiHeadAttention: input is ", x.shape(), ", expected [N,tokens,channels]");
  // [N,tokens,channels] to [N,heads,tokens,depth]
  const auto by_head = [this](const Tensor& t) { return permute(reshape(t, {0, 0, heads_, depth_}), {0, 2, 1, 3}); };
  // The queries are fewer than the products with the keys.
  const Tensor queries = query(x) * (1 / std::sqrt(static_cast<double>(depth_)));
  const Tensor weights = softmax(matmul(by_head(queries), by_head(key(x)), {.transpose_b = true}));
  const Tensor mixed = matmul(weights, by_head(value(x)));
  return out(reshape(permute(mixed, {0, 2, 1, 3}), {0, 0, heads_ * depth_}));
}

}  // namespace sinter::nn
