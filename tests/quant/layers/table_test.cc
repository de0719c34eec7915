#include "../../../quant/layers/table.h"

#include <cmath>

#include "../../../core/ops/hardsigmoid.h"
#include "../../../core/ops/hardswish.h"
#include "../../../core/ops/leaky_relu.h"
#include "../../../core/ops/relu.h"
#include "../../../core/ops/sigmoid.h"
#include "../../../core/ops/silu.h"
#include "../../../core/ops/tanh.h"
#include "../../../core/parallel.h"
#include "../../support.h"

using namespace sinter;
using namespace sinter::quant;

namespace {

// The operations and what they compute in float.
template <class F>
void each_operation(const F& f) {
  f(ops::Sigmoid{});
  f(ops::Silu{});
  f(ops::Tanh{});
  f(ops::Hardsigmoid{});
  f(ops::Hardswish{});
  f(ops::LeakyRelu{{.negative_slope = 0.2}});
}

Grid grid(float scale, int bits, Bounds bounds) { return {scale, bounds, storage_of(type_bounds(bits)), bits}; }

}  // namespace

TEST_CASE("what a table holds is what the operation computes, more exactly") {
  Tensor x = Tensor::empty({2001});
  for (int64_t i = 0; i < 2001; ++i) x.mutable_data<float>()[i] = static_cast<float>(i - 1000) * 0.01f;
  each_operation([&](const auto& op) {
    CAPTURE(op.name());
    CHECK(table_function(op));
    Tensor expected = Tensor::empty(x.shape());
    for (int64_t i = 0; i < x.elements(); ++i)
      expected.mutable_data<float>()[i] = static_cast<float>(table_function(op)(x.data<float>()[i]));
    CHECK_CLOSE(call(op, x), expected, 1e-6, 1e-7);
  });
  CHECK_FALSE(table_function(ops::Relu{}));
}

TEST_CASE("a table is finite and saturated at its ends, and one entry for every integer of the type") {
  each_operation([](const auto& op) {
    CAPTURE(op.name());
    for (const int x_bits : {8, 16})
      for (const int y_bits : {8, 16})
        for (const float scale : {0x1p-23f, 0.01f, 3000.0f}) {
          const Bounds bounds{-100, 100};
          const Tensor table = make_table(table_function(op), grid(scale, x_bits, type_bounds(x_bits)), grid(scale, y_bits, bounds),
                                          Rounding::half_to_even);
          CHECK(table.spec() == Spec{y_bits == 16 ? DType::int16 : DType::int8, {x_bits == 16 ? 65536 : 256}});
          int64_t outside = 0;
          for (int64_t i = 0; i < table.elements(); ++i) {
            const int64_t v = y_bits == 16 ? table.data<int16_t>()[i] : table.data<int8_t>()[i];
            outside += v < -100 || v > 100;
          }
          CHECK(outside == 0);
        }
  });
}

TEST_CASE("ties of a table round as the march does") {
  // (x + 3) / 6 with scales of 2^-7: (q + 384) / 6 is a tie where q leaves 3 when divided by 6.
  const Grid x = grid(0x1p-7f, 8, type_bounds(8)), y = grid(0x1p-7f, 8, type_bounds(8));
  const Tensor even = make_table(ops::Hardsigmoid{}, x, y, Rounding::half_to_even),
               up = make_table(ops::Hardsigmoid{}, x, y, Rounding::half_up);
  for (const int q : {-15, -9, 3, 9, 15}) {
    const int twice = 2 * (q + 384) / 6;  // odd
    CHECK(up.at<int8_t>({128 + q}) == (twice + 1) / 2);
    CHECK(even.at<int8_t>({128 + q}) == ((twice - 1) / 2 % 2 == 0 ? (twice - 1) / 2 : (twice + 1) / 2));
  }
}

TEST_CASE("a table does not depend on threads") {
  const int before = threads();
  std::vector<Tensor> tables;
  for (const int count : {1, 3}) {
    set_threads(count);
    tables.push_back(make_table(ops::Tanh{}, grid(1e-4f, 16, type_bounds(16)), grid(3e-5f, 16, type_bounds(16)),
                                Rounding::half_to_even));
  }
  set_threads(before);
  CHECK_SAME(tables[0], tables[1]);
}
