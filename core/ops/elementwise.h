#pragma once
// Private: loops over whole tensors, shared by the elementwise operations.

#include <algorithm>
#include <span>

#include "../kernel/functions.h"
#include "../kernel/independent.h"
#include "../op.h"
#include "../parallel.h"

namespace sinter::ops {

/// Throws Error unless there are `count` inputs, all float32.
void expect_float(std::string_view op, std::span<const Spec> x, size_t count);

inline constexpr int64_t kElementwiseGrain = 1 << 14;

/// y = f(x), element by element; y may be x.
template <class F>
void map(const Tensor& x, Tensor& y, const F& f) {
  const float* in = x.data<float>();
  float* out = y.mutable_data<float>();
  parallel_for(x.elements(), kElementwiseGrain, [&](int64_t begin, int64_t end) {
    SINTER_INDEPENDENT
    for (int64_t i = begin; i < end; ++i) out[i] = f(in[i]);
  });
}

/// y = f(a, b), element by element, all of one shape; y may be a or b.
template <class F>
void map(const Tensor& a, const Tensor& b, Tensor& y, const F& f) {
  const float* in_a = a.data<float>();
  const float* in_b = b.data<float>();
  float* out = y.mutable_data<float>();
  parallel_for(a.elements(), kElementwiseGrain, [&](int64_t begin, int64_t end) {
    SINTER_INDEPENDENT
    for (int64_t i = begin; i < end; ++i) out[i] = f(in_a[i], in_b[i]);
  });
}

/// y = f(x) by a kernel, whose parameters are `a` and `b`; y may be x.
void apply(const kernel::Function& f, const Tensor& x, Tensor& y, float a = 0, float b = 0);
/// dy f'(x) from what the kernel's backward takes, in dy's memory where nobody else reads that.
Tensor derivative(const kernel::Function& f, const Tensor& kept, const Tensor& dy, float a = 0, float b = 0);

}  // namespace sinter::ops
