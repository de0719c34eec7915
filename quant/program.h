#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "../core/op.h"
#include "contract.h"

namespace sinter::quant {

/// An activation of a program.
struct Value {
  std::string name;           ///< of the node that makes it, or of the input
  Shape shape;                ///< for one image: the first axis is 1
  DType dtype = DType::int8;  ///< int8, int16; int32: accumulators of a high-precision output; float32: of the CPU
  float scale = 1;            ///< int8, int16: real value = integer * scale; an accumulator's is s_x s_w[c]
  int32_t low = 0, high = 0;  ///< int8, int16: the integers it may hold
  int bits = 8;               ///< int8, int16: of its type: 16, 8, 4 or 2
  bool operator==(const Value&) const = default;

  bool is_integer() const { return dtype == DType::int8 || dtype == DType::int16; }
  Grid grid() const { return {scale, {low, high}, dtype, bits}; }
};

/// Steps that are no layers of a BPU: float32 to integers, integers or accumulators to float32, a float32 operation,
/// and integers that are always the same.
inline constexpr std::string_view kQuantize = "quantize", kDequantize = "dequantize", kCpu = "cpu",
                                  kConstant = "constant";

/// One step of a program. Everything in a step of the BPU is an integer, but for the scales, which say what the
/// integers mean: they are not computed with.
struct Instruction {
  std::string layer;        ///< its name (quant/layers/layer.h), or one of the four above
  std::vector<int> inputs;  ///< indices of values
  int output = 0;
  std::shared_ptr<const Op> op;    ///< whose attributes the step has: windows, axes, ...; a FusedConv for conv
  Tensor weight;                   ///< conv: int8 [O,KH,KW,I/groups]
  Tensor bias;                     ///< conv: int32 [O]
  Tensor weight_scales;            ///< conv: float32 [O]
  std::vector<Rescaling> rescale;  ///< as the layer says: one, by channel, by input, ...
  Tensor table;                    ///< table: of the output's type, for all integers of the input's: [256] or [65536]
  /// cpu, prelu, table: the operands that are no values, undefined where one is a value; constant: its integers.
  std::vector<Tensor> constants;

  /// Whether it is a layer of the BPU.
  bool on_bpu() const { return layer != kQuantize && layer != kDequantize && layer != kCpu && layer != kConstant; }
};

/// A network as integers, for one march: instructions in the order in which they run. Images are quantised on the way
/// in and results dequantised on the way out, by the scales of these values. The integers are the same everywhere, but
/// for what a `cpu` step is among the makers of: floating point may round otherwise under another instruction set.
struct IntegerProgram {
  Arithmetic march;
  std::vector<Value> values;
  std::vector<int> inputs, outputs;  ///< indices of values
  std::vector<Instruction> instructions;

  /// The instruction that makes a value; null for an input.
  const Instruction* producer(int value) const;
};

/// What is said of `cpu` steps, behind their names.
constexpr const char* kInFloat =
    ": in float, on the CPU: what is computed from there on may differ between instruction sets";

/// Results as real numbers, float32: integer * scale, and for accumulators
/// float(double(acc) * (double(s_x) * double(s_w))). `integers` is [N,...] of the value's type.
Tensor dequantize(const IntegerProgram& program, int value, const Tensor& integers);

/// Throws Error, naming the instruction and what is wrong with it, for a program that no compiler made: indices out of
/// range, shapes that do not follow from each other, values outside their bounds. VALIDATION asks it as well.
void check_program(const IntegerProgram& program);

}  // namespace sinter::quant
