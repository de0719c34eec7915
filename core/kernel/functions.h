#pragma once
// Private: functions of one float, forward beside backward, over arrays. Each value has the same bits wherever it lies
// and whatever the instruction set.

#include <cstdint>

#include "isa.h"

namespace sinter::kernel {

/// `a` and `b` are the function's parameters, where it has some.
struct Function {
  /// y = f(x); y may be x.
  void (*forward)(const float* x, int64_t count, float a, float b, float* y);
  /// dx = dy f'(x), from what is kept; dx may be dy.
  void (*backward)(const float* kept, const float* dy, int64_t count, float a, float b, float* dx);
  bool keeps_result;  ///< f(x), else x
};

struct Functions {
  Function relu, relu6, leaky_relu;  // a: the slope below 0, at least 0
  Function sigmoid, tanh;
  Function hardsigmoid;  // (x + b) / a within 0..1
  Function silu, hardswish, mish, softsign;
  Function elu;       // a: the limit below 0, negated
  Function softplus;  // a: the beta, b: the threshold
  Function gelu, gelu_tanh;
  Function clamp;  // within a..b
  Function exp, log, sqrt, rsqrt, abs, reciprocal;
  Function pow;  // a: the exponent
  /// x, below 0 times w, for a w beside each x.
  void (*prelu)(const float* x, const float* w, int64_t count, float* y);
  /// dx = dy, below 0 times w; dx may be dy.
  void (*prelu_backward)(const float* x, const float* w, const float* dy, int64_t count, float* dx);
  /// What each x adds to its w's gradient: dy x below 0, else 0; dw may be dy.
  void (*prelu_weight)(const float* x, const float* dy, int64_t count, float* dw);
  /// y = x times `scale` where `stays` is 1, times 0 where it is 0; y may be x.
  void (*dropout)(const uint8_t* stays, const float* x, int64_t count, float scale, float* y);
  /// y = e^(x - shift), and returns the sum; y may be x.
  double (*exponentials)(const float* x, int64_t count, float shift, float* y);
  /// The sum of x, and of x w, each product exact.
  double (*sum)(const float* x, int64_t count);
  double (*dot)(const float* x, const float* w, int64_t count);
};

SINTER_DECLARE_KERNELS(Functions, functions)

}  // namespace sinter::kernel
