#pragma once

#include <cstdint>

#include "../core/tensor.h"

/// Initial values of parameters, drawn from `default_random()`: after the same `manual_seed`, the same model gets the
/// same values.
namespace sinter::nn::init {

/// What one output sees and what one input reaches: [out,in], or convolution weights [out,kh,kw,in/groups]. As in
/// PyTorch, `out` counts the outputs of all groups.
struct Fans {
  int64_t in = 0, out = 0;
};
/// Throws Error for other ranks.
Fans fans(const Shape& weight);

inline constexpr double kReluGain = 1.4142135623730951;  ///< sqrt(2): a ReLU halves the second moment

enum class Fan { in, out };
struct KaimingOptions {
  Fan fan = Fan::in;
  double gain = kReluGain;
};
/// He et al., 1502.01852: standard deviation gain / sqrt(fan), normal or uniform with mean 0.
void kaiming_normal(Tensor weight, const KaimingOptions& options = {});
void kaiming_uniform(Tensor weight, const KaimingOptions& options = {});

struct XavierOptions {
  double gain = 1;
};
/// Glorot & Bengio, AISTATS 2010: standard deviation gain * sqrt(2 / (fan in + fan out)).
void xavier_normal(Tensor weight, const XavierOptions& options = {});
void xavier_uniform(Tensor weight, const XavierOptions& options = {});

/// Uniform in [-bound, bound).
void uniform(Tensor values, double bound);
void constant(Tensor values, double value);

}  // namespace sinter::nn::init
