#include "functions.h"

#include "exp.h"
#include "independent.h"
#include "log.h"

namespace sinter::kernel {

namespace {

template <class F>
inline void map(const float* x, int64_t count, float* y, const F& f) {
  SINTER_INDEPENDENT
  for (int64_t i = 0; i < count; ++i) y[i] = f(x[i]);
}

template <class F>
inline void map(const float* x, const float* dy, int64_t count, float* dx, const F& f) {
  SINTER_INDEPENDENT
  for (int64_t i = 0; i < count; ++i) dx[i] = f(x[i], dy[i]);
}

float at_least(float low, float x) { return x < low ? low : x; }  // NaN stays
float at_most(float high, float x) { return x > high ? high : x; }

struct Parameters {
  float a, b;
};

// Of an F with `value` of x and `gradient` of what is kept and dy.
template <class F>
constexpr Function kFunction{[](const float* x, int64_t count, float a, float b, float* y) {
                               map(x, count, y, [a, b](float v) { return F::value(v, {a, b}); });
                             },
                             [](const float* kept, const float* dy, int64_t count, float a, float b, float* dx) {
                               map(kept, dy, count, dx, [a, b](float v, float g) { return F::gradient(v, g, {a, b}); });
                             },
                             F::kKeepsResult};

struct OfResult {
  static constexpr bool kKeepsResult = true;
};
struct OfInput {
  static constexpr bool kKeepsResult = false;
};

struct Relu : OfResult {
  static float value(float v, Parameters) { return at_least(0, v); }
  static float gradient(float y, float g, Parameters) { return y > 0 ? g : 0.0f; }
};

struct Relu6 : OfResult {
  static float value(float v, Parameters) { return at_most(6, at_least(0, v)); }
  static float gradient(float y, float g, Parameters) { return ((y > 0) & (y < 6)) ? g : 0.0f; }
};

struct LeakyRelu : OfResult {
  static float value(float v, Parameters p) { return v * (v > 0 ? 1.0f : p.a); }
  // The result is above 0 where the input is.
  static float gradient(float y, float g, Parameters p) { return g * (y > 0 ? 1.0f : p.a); }
};

struct Sigmoid : OfResult {
  static float value(float v, Parameters) { return logistic(v); }
  static float gradient(float y, float g, Parameters) { return g * y * (1 - y); }
};

struct Tanh : OfResult {
  static float value(float v, Parameters) { return tanh(v); }
  static float gradient(float y, float g, Parameters) { return g * (1 - y * y); }
};

struct Hardsigmoid : OfResult {
  static float value(float v, Parameters p) { return at_most(1, at_least(0, (v + p.b) / p.a)); }
  static float gradient(float y, float g, Parameters p) { return ((y > 0) & (y < 1)) ? g / p.a : 0.0f; }
};

struct Silu : OfInput {
  static float value(float v, Parameters) { return v * logistic(v); }
  static float gradient(float v, float g, Parameters) {
    const float s = logistic(v);
    return g * s * (1 + v * (1 - s));
  }
};

struct Hardswish : OfInput {
  static float value(float v, Parameters) { return v * (at_most(6, at_least(0, v + 3)) / 6); }
  static float gradient(float v, float g, Parameters) {
    const float high_offset = v < 3 ? 0.5f : 0.0f;
    return g * (at_most(3, at_least(-3, v)) / 3 + (v < -3 ? 1.0f : high_offset));
  }
};

struct Mish : OfInput {
  // tanh(log(1 + e^x)) = n / (n + 2) with n = e^x (e^x + 2)
  static float hold(float v) {
    const float e = exp(v > 20 ? 20.0f : v), n = e * (e + 2);
    return n / (n + 2);
  }
  static float value(float v, Parameters) { return v * hold(v); }
  static float gradient(float v, float g, Parameters) {
    const float t = hold(v);
    return g * (t + v * logistic(v) * (1 - t * t));
  }
};

struct Softsign : OfInput {
  static float value(float v, Parameters) { return v / (1 + __builtin_fabsf(v)); }
  static float gradient(float v, float g, Parameters) {
    const float d = 1 + __builtin_fabsf(v);
    return g / (d * d);
  }
};

struct Elu : OfInput {
  static float value(float v, Parameters p) { return v > 0 ? v : p.a * expm1(at_most(0, v)); }
  static float gradient(float v, float g, Parameters p) { return g * (v > 0 ? 1.0f : p.a * exp(v)); }
};

struct Softplus : OfInput {
  static float value(float v, Parameters p) {
    const float z = v * p.a;
    return z > p.b ? v : (at_least(0, z) + log1p(exp(-__builtin_fabsf(z)))) / p.a;
  }
  static float gradient(float v, float g, Parameters p) {
    const float z = v * p.a;
    return z > p.b ? g : g * logistic(z);
  }
};

struct Gelu : OfInput {
  static float value(float v, Parameters) { return v * normal_below(v).probability; }
  static float gradient(float v, float g, Parameters) {
    const Normal n = normal_below(v);
    return g * (n.probability + at_most(100, at_least(-100, v)) * n.density);
  }
};

struct GeluTanh : OfInput {
  static constexpr float kScale = 0.7978845608f, kCube = 0.044715f;  // sqrt(2 / pi)
  // (1 + tanh(z)) / 2 = logistic(2 z)
  static float share(float v) { return logistic(2 * kScale * (v + kCube * v * v * v)); }
  static float value(float v, Parameters) { return v * share(v); }
  static float gradient(float v, float g, Parameters) {
    const float w = at_most(100, at_least(-100, v)), s = share(w);
    return g * (s + w * s * (1 - s) * (2 * kScale * (1 + 3 * kCube * w * w)));
  }
};

struct Clamp : OfInput {
  static float value(float v, Parameters p) { return at_most(p.b, at_least(p.a, v)); }
  static float gradient(float v, float g, Parameters p) { return ((v >= p.a) & (v <= p.b)) ? g : 0.0f; }
};

struct Exp : OfResult {
  static float value(float v, Parameters) { return exp(v); }
  static float gradient(float y, float g, Parameters) { return g * y; }
};

struct Log : OfInput {
  static float value(float v, Parameters) { return log(v); }
  static float gradient(float v, float g, Parameters) { return g / v; }
};

struct Sqrt : OfResult {
  static float value(float v, Parameters) { return __builtin_sqrtf(v); }
  static float gradient(float y, float g, Parameters) { return g / (2 * y); }
};

struct Rsqrt : OfResult {
  static float value(float v, Parameters) { return 1 / __builtin_sqrtf(v); }
  static float gradient(float y, float g, Parameters) { return -0.5f * g * (y * y * y); }
};

struct Abs : OfInput {
  static float value(float v, Parameters) { return __builtin_fabsf(v); }
  static float gradient(float v, float g, Parameters) { return g * ((v > 0 ? 1.0f : 0.0f) - (v < 0 ? 1.0f : 0.0f)); }
};

struct Reciprocal : OfResult {
  static float value(float v, Parameters) { return 1 / v; }
  static float gradient(float y, float g, Parameters) { return -g * (y * y); }
};

// y = f(x) for x^exponent; the common ones without logarithm.
template <class Map>
inline void power(float exponent, const Map& each) {
  if (exponent == 2) return each([](float v) { return v * v; });
  if (exponent == 3) return each([](float v) { return v * v * v; });
  if (exponent == 1) return each([](float v) { return v; });
  if (exponent == 0) return each([](float) { return 1.0f; });
  if (exponent == -1) return each([](float v) { return 1 / v; });
  if (exponent == 0.5f) return each([](float v) { return __builtin_sqrtf(v); });
  if (exponent == -0.5f) return each([](float v) { return 1 / __builtin_sqrtf(v); });
  const Power p(static_cast<double>(exponent));
  each([p](float v) { return p(v); });
}

constexpr Function kPow{
    [](const float* x, int64_t count, float a, float, float* y) {
      power(a, [&](const auto& f) { map(x, count, y, f); });
    },
    [](const float* x, const float* dy, int64_t count, float a, float, float* dx) {
      if (a == 0) return map(dy, count, dx, [](float) { return 0.0f; });
      power(a - 1, [&](const auto& f) { map(x, dy, count, dx, [&f, a](float v, float g) { return g * (a * f(v)); }); });
    },
    false};

void prelu(const float* x, const float* w, int64_t count, float* y) {
  map(x, w, count, y, [](float v, float slope) { return v * (v > 0 ? 1.0f : slope); });
}

void prelu_backward(const float* x, const float* w, const float* dy, int64_t count, float* dx) {
  SINTER_INDEPENDENT
  for (int64_t i = 0; i < count; ++i) dx[i] = dy[i] * (x[i] > 0 ? 1.0f : w[i]);
}

void prelu_weight(const float* x, const float* dy, int64_t count, float* dw) {
  map(x, dy, count, dw, [](float v, float g) { return v > 0 ? 0.0f : v * g; });
}

void dropout(const uint8_t* stays, const float* x, int64_t count, float scale, float* y) {
  SINTER_INDEPENDENT
  for (int64_t i = 0; i < count; ++i) y[i] = x[i] * (static_cast<float>(stays[i]) * scale);
}

// The sum of f(0), f(1), ...
template <class F>
inline double sum_of(int64_t count, const F& f) {
  constexpr int kSums = 16;  // several chains of additions
  double sums[kSums] = {};
  int64_t i = 0;
  for (; i + kSums <= count; i += kSums)
    for (int j = 0; j < kSums; ++j) sums[j] += f(i + j);
  for (int j = 0; i < count; ++i, ++j) sums[j] += f(i);
  double total = 0;
  for (const double sum : sums) total += sum;
  return total;
}

double sum(const float* x, int64_t count) {
  return sum_of(count, [x](int64_t i) { return static_cast<double>(x[i]); });
}

double dot(const float* x, const float* w, int64_t count) {
  return sum_of(count, [x, w](int64_t i) { return static_cast<double>(x[i]) * static_cast<double>(w[i]); });
}

double exponentials(const float* x, int64_t count, float shift, float* y) {
  constexpr int64_t kAtOnce = 16;  // a vector of the widest; what is left takes one, too, not each value its own time
  const auto of = [shift](float v) { return exp(v - shift); };
  const int64_t left = count % kAtOnce, whole = count - left;
  map(x, whole, y, of);
  if (left > 0) {
    float rest[kAtOnce] = {};
    for (int64_t i = 0; i < left; ++i) rest[i] = x[whole + i];
    map(rest, kAtOnce, rest, of);
    for (int64_t i = 0; i < left; ++i) y[whole + i] = rest[i];
  }
  return sum(y, count);
}

}  // namespace

const Functions SINTER_KERNELS(functions) = {.relu = kFunction<Relu>,
                                             .relu6 = kFunction<Relu6>,
                                             .leaky_relu = kFunction<LeakyRelu>,
                                             .sigmoid = kFunction<Sigmoid>,
                                             .tanh = kFunction<Tanh>,
                                             .hardsigmoid = kFunction<Hardsigmoid>,
                                             .silu = kFunction<Silu>,
                                             .hardswish = kFunction<Hardswish>,
                                             .mish = kFunction<Mish>,
                                             .softsign = kFunction<Softsign>,
                                             .elu = kFunction<Elu>,
                                             .softplus = kFunction<Softplus>,
                                             .gelu = kFunction<Gelu>,
                                             .gelu_tanh = kFunction<GeluTanh>,
                                             .clamp = kFunction<Clamp>,
                                             .exp = kFunction<Exp>,
                                             .log = kFunction<Log>,
                                             .sqrt = kFunction<Sqrt>,
                                             .rsqrt = kFunction<Rsqrt>,
                                             .abs = kFunction<Abs>,
                                             .reciprocal = kFunction<Reciprocal>,
                                             .pow = kPow,
                                             .prelu = prelu,
                                             .prelu_backward = prelu_backward,
                                             .prelu_weight = prelu_weight,
                                             .dropout = dropout,
                                             .exponentials = exponentials,
                                             .sum = sum,
                                             .dot = dot};

}  // namespace sinter::kernel
