#include "../../../core/ops/broadcast.h"

#include "../../../core/random.h"
#include "../../support.h"

using namespace sinter;
using namespace sinter::ops;

namespace {

// The flat index, in an operand, of an element of the result.
int64_t source_of(int64_t flat, const Shape& result, const Shape& operand) {
  int64_t index = 0, stride = 1;
  for (int axis = result.rank() - 1; axis >= 0; --axis) {
    const int64_t at = flat % result[axis];
    flat /= result[axis];
    const int own = axis - (result.rank() - operand.rank());
    if (own < 0) continue;
    if (operand[own] != 1) index += at * stride;
    stride *= operand[own];
  }
  return index;
}

Tensor plain(const Tensor& a, const Tensor& b, const Shape& result) {
  Tensor y = Tensor::empty(result);
  float* out = y.mutable_data<float>();
  for (int64_t i = 0; i < y.elements(); ++i)
    out[i] = 1000 * a.data<float>()[source_of(i, result, a.shape())] + b.data<float>()[source_of(i, result, b.shape())];
  return y;
}

}  // namespace

TEST_CASE("shapes broadcast as NumPy's do") {
  const auto shape = [](const Shape& a, const Shape& b) { return broadcast_shape("op", a, b); };
  CHECK(shape({2, 3}, {2, 3}) == Shape{2, 3});
  CHECK(shape({2, 3}, {3}) == Shape{2, 3});
  CHECK(shape({}, {2, 3}) == Shape{2, 3});
  CHECK(shape({}, {}) == Shape{});
  CHECK(shape({4, 1, 3}, {5, 1}) == Shape{4, 5, 3});
  CHECK(shape({1}, {0}) == Shape{0});
  CHECK(shape({0, 1}, {1, 4}) == Shape{0, 4});
  CHECK_ERROR(shape({2, 3}, {2}), "op: [2,3] and [2] do not broadcast");
  CHECK_ERROR(shape({0}, {2}), "op: [0] and [2] do not broadcast");
}

TEST_CASE("axes that both operands cross in the same way are one") {
  const auto rank = [](const Shape& a, const Shape& b) {
    return BroadcastPlan(a, b, broadcast_shape("op", a, b)).rank;
  };
  CHECK(rank({2, 3, 4}, {2, 3, 4}) == 1);
  CHECK(rank({2, 3, 4}, {}) == 1);
  CHECK(rank({2, 3, 4}, {4}) == 2);
  CHECK(rank({2, 1, 3, 4}, {3, 4}) == 2);
  CHECK(rank({2, 3, 4}, {2, 1, 4}) == 3);
  CHECK(rank({1, 1}, {1}) == 1);
}

TEST_CASE("every element of a broadcast result comes from the right two") {
  constexpr uint64_t kSeed = 3;
  Random random(kSeed, stream_of("broadcast"));
  for (int trial = 0; trial < 200; ++trial) {
    const auto rank = static_cast<size_t>(random.below(6));
    std::vector<int64_t> a, b;
    for (size_t axis = 0; axis < rank; ++axis) {
      const int64_t size = 1 + random.below(4), kind = random.below(4);
      a.push_back(kind == 0 ? 1 : size);
      b.push_back(kind == 1 ? 1 : size);
    }
    a.erase(a.begin(), a.begin() + random.below(static_cast<int64_t>(rank) + 1) / 2);
    b.erase(b.begin(), b.begin() + random.below(static_cast<int64_t>(rank) + 1) / 2);
    const Shape shape_a{std::span<const int64_t>(a)}, shape_b{std::span<const int64_t>(b)};
    INFO("seed ", kSeed, ", trial ", trial, ": ", to_string(shape_a), ", ", to_string(shape_b));
    Tensor values_a = Tensor::arange(shape_a.elements()), values_b = Tensor::arange(shape_b.elements());
    const Tensor x = Tensor::from(shape_a, values_a.values<float>()),
                 z = Tensor::from(shape_b, values_b.values<float>());
    Tensor y = Tensor::empty(broadcast_shape("op", shape_a, shape_b));
    broadcast_map(x, z, y, [](float p, float q) { return 1000 * p + q; });
    CHECK_SAME(y, plain(x, z, y.shape()));
  }
}

TEST_CASE("ranges of threads may begin and end inside rows, whichever operand steps along them") {
  const auto f = [](const Tensor& a, const Tensor& b) {
    Tensor y = Tensor::empty(broadcast_shape("op", a.shape(), b.shape()));
    broadcast_map(a, b, y, [](float p, float q) { return 1000 * p + q; });
    return y;
  };
  const Tensor rows = test::normal({7, 1, 5003}), columns = test::normal({3, 1}, 2), both = test::normal({3, 5003}, 3);
  for (const auto& [a, b] : {std::pair(rows, columns), std::pair(columns, rows), std::pair(rows, both)}) {
    const std::vector<Tensor> x{a, b};
    CHECK_THREADS(f, x);
    CHECK_SAME(f(x[0], x[1]), plain(x[0], x[1], {7, 3, 5003}));
  }
}
