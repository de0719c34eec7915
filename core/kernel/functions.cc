#include "functions.h"

#include "exp.h"
#include "independent.h"

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

constexpr Function kRelu{
    [](const float* x, int64_t count, float, float* y) { map(x, count, y, [](float v) { return at_least(0, v); }); },
    [](const float* y, const float* dy, int64_t count, float, float* dx) {
      map(y, dy, count, dx, [](float v, float g) { return v > 0 ? g : 0.0f; });
    }};

constexpr Function kRelu6{[](const float* x, int64_t count, float, float* y) {
                            map(x, count, y, [](float v) { return at_most(6, at_least(0, v)); });
                          },
                          [](const float* y, const float* dy, int64_t count, float, float* dx) {
                            map(y, dy, count, dx, [](float v, float g) { return ((v > 0) & (v < 6)) ? g : 0.0f; });
                          }};

constexpr Function kLeakyRelu{[](const float* x, int64_t count, float slope, float* y) {
                                map(x, count, y, [slope](float v) { return v * (v > 0 ? 1.0f : slope); });
                              },
                              // The result is above 0 where the input is.
                              [](const float* y, const float* dy, int64_t count, float slope, float* dx) {
                                map(y, dy, count, dx, [slope](float v, float g) { return g * (v > 0 ? 1.0f : slope); });
                              }};

constexpr Function kSigmoid{[](const float* x, int64_t count, float, float* y) { map(x, count, y, logistic); },
                            [](const float* y, const float* dy, int64_t count, float, float* dx) {
                              map(y, dy, count, dx, [](float v, float g) { return g * v * (1 - v); });
                            }};

constexpr Function kTanh{[](const float* x, int64_t count, float, float* y) { map(x, count, y, tanh); },
                         [](const float* y, const float* dy, int64_t count, float, float* dx) {
                           map(y, dy, count, dx, [](float v, float g) { return g * (1 - v * v); });
                         }};

constexpr Function kHardsigmoid{[](const float* x, int64_t count, float, float* y) {
                                  map(x, count, y, [](float v) { return at_most(6, at_least(0, v + 3)) / 6; });
                                },
                                [](const float* y, const float* dy, int64_t count, float, float* dx) {
                                  map(y, dy, count, dx,
                                      [](float v, float g) { return ((v > 0) & (v < 1)) ? g / 6 : 0.0f; });
                                }};

constexpr Function kSilu{
    [](const float* x, int64_t count, float, float* y) { map(x, count, y, [](float v) { return v * logistic(v); }); },
    [](const float* x, const float* dy, int64_t count, float, float* dx) {
      map(x, dy, count, dx, [](float v, float g) {
        const float s = logistic(v);
        return g * s * (1 + v * (1 - s));
      });
    }};

constexpr Function kHardswish{[](const float* x, int64_t count, float, float* y) {
                                map(x, count, y, [](float v) { return v * (at_most(6, at_least(0, v + 3)) / 6); });
                              },
                              [](const float* x, const float* dy, int64_t count, float, float* dx) {
                                map(x, dy, count, dx, [](float v, float g) {
                                  const float high_offset = v < 3 ? 0.5f : 0.0f;
                                  return g * (at_most(3, at_least(-3, v)) / 3 + (v < -3 ? 1.0f : high_offset));
                                });
                              }};

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
  map(x, count, y, [shift](float v) { return exp(v - shift); });
  return sum(y, count);
}

}  // namespace

const Functions SINTER_KERNELS(functions) = {kRelu,        kRelu6,  kLeakyRelu,   kSigmoid, kTanh,
                                             kHardsigmoid, kSilu,   kHardswish,   prelu,    prelu_backward,
                                             prelu_weight, dropout, exponentials, sum,      dot};

}  // namespace sinter::kernel
