#include <algorithm>
#include <array>
#include <cmath>
#include <vector>

#include "../../core/kernel/integers.h"
#include "../../core/ops/resize.h"
#include "../../core/ops/resize_taps.h"
#include "../contract_inline.h"
#include "checks.h"
#include "rescale.h"

namespace sinter::quant {

namespace {

int32_t weight_of(const ops::ResizeTap& tap, int bits) {
  return static_cast<int32_t>(inlined::round_as(Rounding::half_to_even, std::ldexp(tap.fraction, bits)));
}

kernel::ShiftTo as_kernel(ShiftRounding rounding) {
  using To = kernel::ShiftTo;
  if (rounding == ShiftRounding::half_to_even) return To::even;
  return rounding == ShiftRounding::half_up ? To::half_up : To::down;
}

template <class T>
void nearest(const ops::ResizePlan& plan, const Tensor& x, Tensor& y) {
  const int64_t height = x.size(1), width = x.size(2), channels = x.size(3);
  const int64_t rows = y.size(1), columns = y.size(2);
  const T* in = x.data<T>();
  T* out = y.mutable_data<T>();
  parallel_for(y.size(0) * rows, 1, [&](int64_t begin, int64_t end) {
    for (int64_t row = begin; row < end; ++row) {
      const T* from = in + (row / rows * height + plan.rows[row % rows].low) * width * channels;
      T* to = out + row * columns * channels;
      for (int64_t column = 0; column < columns; ++column)
        std::copy_n(from + plan.columns[column].low * channels, channels, to + column * channels);
    }
  });
}

// Along the rows of x first, whose sums several rows of y share.
template <class T>
void bilinear(const ops::ResizePlan& plan, const Tensor& x, const March& march, Tensor& y) {
  const int64_t height = x.size(1), width = x.size(2), channels = x.size(3);
  const int64_t rows = y.size(1), columns = y.size(2), line = columns * channels;
  const int bits = march.resize_bits;
  const int32_t one = int32_t{1} << bits;
  std::vector<int64_t> low, high;
  std::vector<int32_t> left, right;
  for (const ops::ResizeTap& tap : plan.columns) {
    low.push_back(tap.low);
    high.push_back(tap.high);
    right.push_back(weight_of(tap, bits));
    left.push_back(one - right.back());
  }
  const T* in = x.data<T>();
  T* out = y.mutable_data<T>();
  const auto& kernels = kernel::integers_of(in);
  const kernel::ShiftTo to = as_kernel(march.datapath->shift_rounding());
  const int64_t grain = std::max<int64_t>(1, (1 << 14) / std::max<int64_t>(1, line));
  parallel_for(y.size(0) * rows, grain, [&](int64_t begin, int64_t end) {
    // The sums of two rows of x, and which they are.
    std::array<std::vector<int32_t>, 2> sums{std::vector<int32_t>(static_cast<size_t>(line)),
                                             std::vector<int32_t>(static_cast<size_t>(line))};
    std::array<int64_t, 2> held{-1, -1};
    const auto sums_of = [&](int64_t row, int64_t other) {
      if (held[0] == row) return sums[0].data();
      if (held[1] == row) return sums[1].data();
      const size_t place = held[0] == other ? 1 : 0;
      held[place] = row;
      kernels.blend_columns(in + row * width * channels, low.data(), high.data(), left.data(), right.data(), channels,
                            columns, sums[place].data());
      return sums[place].data();
    };
    for (int64_t row = begin; row < end; ++row) {
      const ops::ResizeTap& v = plan.rows[row % rows];
      const int64_t upper = row / rows * height + v.low, lower = row / rows * height + v.high;
      const int32_t* above = sums_of(upper, lower);
      const int32_t* below = sums_of(lower, upper);
      kernels.blend_rows(above, below, weight_of(v, bits), bits, to, line, out + row * line);
    }
  });
}

/// Nearest values as they are, or bilinear ones: with the fraction f of ops::Resize along an axis and
/// w = round_half_even(f 2^bits), bits the march's `resize_bits`, the four values around an output have the weights
/// (2^bits - w) and w of their row times those of their column; their sum is exact, below 2^47, and rounded once, as
/// the datapath rounds shifts.
class Resize final : public Layer {
 public:
  std::string_view name() const override { return "resize"; }

  Answer takes(const Graph&, const Node& node) const override {
    return node.op->name() == "resize" ? yes() : not_mine();
  }

  bool passes() const override { return true; }

  void run(const Running& r, Tensor& y) const override {
    const auto& a = attributes_of<ops::Resize>(r.step);
    const ops::ResizePlan plan(a, r.x[0].shape(), r.shape);
    with_integers(r.x[0], [&]<class T>(const T*) {
      a.mode == "bilinear" ? bilinear<T>(plan, r.x[0], r.march, y) : nearest<T>(plan, r.x[0], y);
    });
  }

  void check(const IntegerProgram&, const Instruction& step) const override { expect_operation(step, 1, {"resize"}); }
};

}  // namespace

const Layer& resize_layer() {
  static const Resize layer;
  return layer;
}

}  // namespace sinter::quant
