#pragma once
// The integer contract (SPEC.md, sections 1 and 4): how real numbers become integers and how an accumulator becomes an
// output. Fake-quantisation, conversion and the fast simulator compute with these functions and nothing else. None is
// inline: a program's -ffast-math must not change them.

#include <cmath>
#include <cstdint>
#include <vector>

#include "../core/activation.h"
#include "../core/dtype.h"
#include "grid.h"
#include "march.h"

namespace sinter::quant {

/// Smallest and largest scale there are.
inline constexpr float kMinScale = 0x1p-23f, kMaxScale = 0x1p100f;

/// The element type that holds a type's integers: int8 up to 8 bits, int16 above.
inline DType storage_of(const Bounds& type) { return type.low < -128 || type.high > 127 ? DType::int16 : DType::int8; }

/// s = max(-min, max, 0) / ((qmax - qmin) / 2), in float32 as PyTorch 1.13 computes it, at least 2^-23; `type` is the
/// whole range of the integer type. A type without negative integers has the whole of it for max: s = max / qmax.
/// Throws Error unless the range is finite.
float scale_from_range(float min, float max, const Bounds& type = {});

/// v rounded to an integer as the march does; |v| < 2^51.
double round_as(Rounding rounding, double v);

/// q = clamp(round(x * (1 / s)), low, high), the product in float32 like PyTorch's kernel. NaN gives 0.
int32_t quantize(float x, float inverse_scale, const Bounds& bounds, Rounding rounding);

/// The bounds of an output: the type's, from below 0 after a ReLU, from above round(6 / s) after a ReLU6.
Bounds output_bounds(Activation activation, float scale, Rounding rounding, const Bounds& type = {});

/// The scale of a convolution's weights for one output channel, raised, where its bias and its residual (null: none)
/// would exceed 2^30 on the accumulator's grid or the residual have no integers there, until they fit. Throws Error for
/// a bias that is not finite.
float effective_weight_scale(const Arithmetic& march, float weight_scale, float x_scale, float bias,
                             const Grid* skip = nullptr);
/// The bias on that grid: round_half_even(bias / (s_x s_w)).
int32_t quantize_bias(float bias, float x_scale, float weight_scale);

/// A head's result: float(double(acc) * (double(s_x) * double(s_w))).
float dequantize(int32_t acc, float x_scale, float weight_scale);

}  // namespace sinter::quant
