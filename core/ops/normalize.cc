#include "normalize.h"

#include <cmath>

#include "elementwise.h"
#include "reduction.h"

namespace sinter::ops {

namespace {

// f(offset from the group's first value, offset from its first weight) for every value.
template <class F>
void each_value(const NormalGroups& g, const F& f) {
  for (int64_t run = 0; run < g.runs; ++run)
    for (int64_t i = 0; i < g.length; ++i) f(run * g.step + i, i);
}

template <class F>
void each_group(const NormalGroups& g, const F& f) {
  const int64_t grain = std::max<int64_t>(1, kElementwiseGrain / std::max<int64_t>(1, g.runs * g.length));
  parallel_for(g.count, grain, [&](int64_t begin, int64_t end) {
    for (int64_t group = begin; group < end; ++group) f(group);
  });
}

}  // namespace

void normalize(const NormalGroups& g, double eps, Inputs x, Outputs y, Context& context) {
  Tensor normal = Tensor::empty(x[0].shape()), inverse = Tensor::empty({g.count});
  const float* in = x[0].data<float>();
  float *out = normal.mutable_data<float>(), *scales = inverse.mutable_data<float>();
  const auto count = static_cast<double>(g.runs * g.length);
  each_group(g, [&](int64_t group) {
    const float* v = in + g.offset(group);
    float* n = out + g.offset(group);
    double sum = 0, squares = 0;
    each_value(g, [&](int64_t at, int64_t) { sum += static_cast<double>(v[at]); });
    const double mean = sum / count;
    each_value(g, [&](int64_t at, int64_t) {
      const double d = static_cast<double>(v[at]) - mean;
      squares += d * d;
    });
    const double scale = 1 / std::sqrt(squares / count + eps);
    scales[group] = static_cast<float>(scale);
    each_value(g,
               [&](int64_t at, int64_t) { n[at] = static_cast<float>((static_cast<double>(v[at]) - mean) * scale); });
  });
  float* result = y[0].mutable_data<float>();
  const float* weight = x.size() > 1 ? x[1].data<float>() : nullptr;
  const float* bias = x.size() > 2 ? x[2].data<float>() : nullptr;
  each_group(g, [&](int64_t group) {
    const int64_t begin = g.offset(group), first = group % g.weight_groups * g.length;
    each_value(g, [&](int64_t at, int64_t i) {
      const float scaled = weight != nullptr ? out[begin + at] * weight[first + i] : out[begin + at];
      result[begin + at] = bias != nullptr ? scaled + bias[first + i] : scaled;
    });
  });
  context.keep(normal);
  context.keep(inverse);
  if (weight != nullptr) context.keep(x[1]);
}

void normalize_backward(const NormalGroups& g, const Context& context, Outputs dy, Gradients& dx) {
  const Tensor normal = context.kept(0), inverse = context.kept(1);
  const float *n = normal.data<float>(), *dout = dy[0].data<float>();
  if (dx.size() > 1 && dx.wanted(1)) {
    Tensor products = Tensor::empty(normal.shape());
    map(normal, dy[0], products, [](float v, float d) { return v * d; });
    dx.set(1, sum_to(products, context.input(1).shape));
  }
  if (dx.size() > 2 && dx.wanted(2)) dx.set(2, sum_to(dy[0], context.input(2).shape));
  if (!dx.wanted(0)) return;
  const Tensor weights = dx.size() > 1 ? context.kept(2) : Tensor();
  const float *weight = weights.defined() ? weights.data<float>() : nullptr, *scales = inverse.data<float>();
  float* out = dx.create(0).mutable_data<float>();
  const auto count = static_cast<double>(g.runs * g.length);
  each_group(g, [&](int64_t group) {  // scale (d - mean(d) - n mean(d n)), d = dy weight
    const int64_t begin = g.offset(group), first = group % g.weight_groups * g.length;
    const auto gradient = [&](int64_t at, int64_t i) {
      return static_cast<double>(weight != nullptr ? dout[begin + at] * weight[first + i] : dout[begin + at]);
    };
    double sum = 0, dot = 0;
    each_value(g, [&](int64_t at, int64_t i) {
      const double d = gradient(at, i);
      sum += d;
      dot += d * static_cast<double>(n[begin + at]);
    });
    sum /= count;
    dot /= count;
    each_value(g, [&](int64_t at, int64_t i) {
      out[begin + at] = static_cast<float>((gradient(at, i) - sum - static_cast<double>(n[begin + at]) * dot) *
                                           static_cast<double>(scales[group]));
    });
  });
}

}  // namespace sinter::ops
