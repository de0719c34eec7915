#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "../core/ops/window.h"
#include "../core/tensor.h"
#include "../quant/march.h"

namespace sinter::bpu {

/// An activation of a program.
struct Value {
  std::string name;           ///< of the node that makes it, or of the input
  Shape shape;                ///< for one image: the first axis is 1
  DType dtype = DType::int8;  ///< int32: the accumulators of a high-precision head
  float scale = 1;            ///< int8: real value = integer * scale; a head's is s_x s_w[c]
  int32_t low = 0, high = 0;  ///< int8: the integers it may hold
  bool operator==(const Value&) const = default;
};

/// How a result is brought to its output's scale: y = sat(round((acc * multiplier + skip * skip_multiplier) /
/// 2^shift)).
struct Rescale {
  int32_t multiplier = 0;
  int32_t shift = 0;
  int64_t skip_multiplier = 0;
  bool operator==(const Rescale&) const = default;
};

enum class Opcode : uint8_t {
  conv,  ///< x [, skip]: convolution, bias, residual, rescaled by output channel; a linear layer is one of 1x1 images
  add,   ///< a, b of one shape, a of the larger scale: (a * multiplier + b * skip_multiplier) / 2^shift
  mean,  ///< x [1,H,W,C]: the sum over the image, rescaled
  max_pool,  ///< x [1,H,W,C]: the largest of each window, padding never wins
  clamp,     ///< x limited to the output's low..high
  reshape,   ///< x under another shape
};
std::string to_string(Opcode opcode);

/// One step of a program. Everything in it is an integer, but for the scales, which say what the integers mean: they
/// are not computed with.
struct Instruction {
  Opcode opcode = Opcode::conv;
  std::vector<int> inputs;  ///< indices of values
  int output = 0;
  Pair kernel{1}, stride{1}, padding{0}, dilation{1};  ///< conv, max_pool
  int64_t groups = 1;
  std::string activation = "none";  ///< none, relu, relu6: where the output's bounds come from
  Tensor weight;                    ///< conv: int8 [O,KH,KW,I/groups]
  Tensor bias;                      ///< conv: int32 [O]
  Tensor weight_scales;             ///< conv: float32 [O]
  std::vector<Rescale> rescale;     ///< conv: by output channel, none for a head; add, mean: one
};

/// A network as integers, for one march: instructions in the order in which they run. Images are quantised on the way
/// in and results dequantised on the way out, by the scales of these values.
struct Program {
  quant::March march;
  std::string version;      ///< of the library that compiled it
  int64_t fingerprint = 0;  ///< of the prepared model's graph
  std::vector<Value> values;
  std::vector<int> inputs, outputs;  ///< indices of values
  std::vector<Instruction> instructions;

  /// The instruction that makes a value; null for an input.
  const Instruction* producer(int value) const;
};

/// Throws Error, naming the instruction and what is wrong with it, for a program that no compiler made: indices out of
/// range, shapes that do not follow from each other, values outside their bounds.
void check_program(const Program& program);

/// Writes a program to a file: equal programs give equal bytes.
void save(const Program& program, const std::string& path);
/// Throws Error, naming the file and the fault, for a file that is damaged, of a newer version, or no program.
Program load_program(const std::string& path);

/// Bytes of weights, biases and rescaling integers.
int64_t parameter_bytes(const Program& program);
/// One line an instruction: name, operation, shape, weights.
std::string to_string(const Program& program);

/// Results as real numbers, float32: integer * scale, and for a head float(double(acc) * (double(s_x) * double(s_w))).
/// `integers` is [N,...] of the value's type.
Tensor dequantize(const Program& program, int value, const Tensor& integers);

}  // namespace sinter::bpu
