#include "output_scale.h"

#include <cmath>
#include <limits>

#include "../quant/integer/requantize.h"

namespace sinter::bpu {

OutputScale::OutputScale(const Program& program, size_t output) {
  check(output < program.outputs.size(), "the program has ", program.outputs.size(), " outputs, there is no ", output);
  const int index = program.outputs[output];
  const Value& value = program.values[static_cast<size_t>(index)];
  if (value.is_integer()) {
    units_ = {double{value.scale}};
    return;
  }
  check(value.dtype == DType::int32, "output ", output, ", ", value.name, ", is float32: it has no integers");
  const Instruction& head = *program.producer(index);
  units_ = quant::accumulator_units(program.values[static_cast<size_t>(head.inputs[0])].scale,
                                    head.weight_scales.values<float>());
}

float OutputScale::real(int64_t integer, int64_t channel) const {
  return static_cast<float>(static_cast<double>(integer) *
                            units_[units_.size() == 1 ? 0 : static_cast<size_t>(channel)]);
}

int64_t OutputScale::threshold(float real, int64_t channel) const {
  check(!std::isnan(real), "the threshold is NaN");
  // Of 32 bits, and one more than there are.
  int64_t low = std::numeric_limits<int32_t>::min(), high = int64_t{std::numeric_limits<int32_t>::max()} + 1;
  while (low < high) {
    const int64_t middle = low + (high - low) / 2;
    if (this->real(middle, channel) >= real)
      high = middle;
    else
      low = middle + 1;
  }
  return low;
}

}  // namespace sinter::bpu
