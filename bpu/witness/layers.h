#pragma once
// Private: the layers of a program, one number at a time in 64-bit integers, by their definitions.

#include <vector>

#include "numbers.h"

namespace sinter::bpu::witness {

/// A tensor's integers.
struct Plain {
  Shape shape;
  std::vector<int64_t> values;
  Tensor real{};  ///< instead, where a value is float32
};

/// The output of an instruction that computes with integers: saturated, or, for a head, its accumulators. Throws Error
/// where 32 bits do not hold one.
Plain run_layer(const Program& program, const Instruction& step, const std::vector<const Plain*>& in);

/// How many values the mean of the window at an output row and column of an average pooling is taken over.
int64_t counted(const Instruction& step, const Shape& x, int64_t row, int64_t column);
/// All such numbers of a pooling from x to y, ascending.
std::vector<int64_t> all_counts(const Instruction& step, const Shape& x, const Shape& y);

/// Every entry of the table of an instruction, for inputs and outputs on the grids of these values: where two are
/// right, the one that it has.
std::vector<int64_t> table_of(const Instruction& step, const Value& x, const Value& y, bool half_up);

}  // namespace sinter::bpu::witness
