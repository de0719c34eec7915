#pragma once

#include "linear.h"

namespace sinter::nn {

struct MultiHeadAttentionOptions {
  Required<int64_t> channels, heads;
};

/// Self-attention (Vaswani et al., 1706.03762, section 3.2.2): by each of `heads` groups of channels, every token
/// becomes a mean of the values of all, weighted by softmax(query key^T / sqrt(channels / heads)), and a linear layer
/// makes one of the groups. [N,tokens,channels] to the same.
struct MultiHeadAttention : Module {
  Linear query, key, value, out;
  SINTER_CHILDREN(query, key, value, out)

  /// Throws Error unless the heads divide the channels.
  MultiHeadAttention(MultiHeadAttentionOptions options);
  Tensor forward(const Tensor& x) const override;

 private:
  int64_t heads_, depth_;  // depth: channels of each head
};

}  // namespace sinter::nn
