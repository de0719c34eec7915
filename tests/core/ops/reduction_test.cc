#include "../../../core/ops/reduction.h"

#include "../../../core/random.h"
#include "../../support.h"

using namespace sinter;
using namespace sinter::ops;

namespace {

double add(double a, double b) { return a + b; }

// Small integers, whose sums are exact in any order.
Tensor integers(const Shape& shape, uint64_t seed) {
  Random random(seed, stream_of("reduction"));
  Tensor x = Tensor::empty(shape);
  float* values = x.mutable_data<float>();
  for (int64_t i = 0; i < x.elements(); ++i) values[i] = static_cast<float>(random.below(201) - 100);
  return x;
}

// The shape without the reduced axes, and the sums, one element of x after the other.
Tensor plain(const Tensor& x, const AxisMask& mask) {
  std::vector<int64_t> sizes;
  for (int axis = 0; axis < x.rank(); ++axis)
    if (!mask[static_cast<size_t>(axis)]) sizes.push_back(x.size(axis));
  Tensor y = Tensor::zeros(Shape{std::span<const int64_t>(sizes)});
  float* out = y.mutable_data<float>();
  for (int64_t i = 0; i < x.elements(); ++i) {
    int64_t flat = i, index = 0, stride = 1;
    for (int axis = x.rank() - 1; axis >= 0; --axis) {
      const int64_t at = flat % x.size(axis);
      flat /= x.size(axis);
      if (mask[static_cast<size_t>(axis)]) continue;
      index += at * stride;
      stride *= x.size(axis);
    }
    out[index] += x.data<float>()[i];
  }
  return y;
}

void check_sum(const Shape& shape, const AxisMask& mask, uint64_t seed) {
  const Tensor x = integers(shape, seed), expected = plain(x, mask);
  Tensor y = Tensor::empty(expected.shape());
  reduce(x, mask, 0.0, add, y);
  CHECK_SAME(y, expected);
}

}  // namespace

TEST_CASE("neighbouring axes of one kind are one axis of a reduction") {
  const ReductionPlan image({2, 3, 4, 5}, {false, true, true, false});
  CHECK(image.row == 5);
  CHECK(!image.row_reduced);
  CHECK(image.kept_count == 2);
  CHECK(image.reduced_count == 12);
  CHECK(image.reduced.size() == 1);
  const ReductionPlan all({2, 3, 4}, {true, true, true});
  CHECK(all.row == 24);
  CHECK(all.row_reduced);
  CHECK(all.kept_count == 1);
  CHECK(all.reduced_count == 1);
}

TEST_CASE("reductions of random shapes over random axes are right") {
  constexpr uint64_t kSeed = 11;
  Random random(kSeed, stream_of("reductions"));
  for (int trial = 0; trial < 200; ++trial) {
    std::vector<int64_t> sizes;
    AxisMask mask{};
    const auto rank = static_cast<size_t>(random.below(6));
    for (size_t axis = 0; axis < rank; ++axis) {
      sizes.push_back(random.below(12) == 0 ? 0 : 1 + random.below(axis + 1 == rank ? 40 : 5));
      mask[axis] = random.below(2) == 0;
    }
    const Shape shape{std::span<const int64_t>(sizes)};
    INFO("seed ", kSeed, ", trial ", trial, ": ", to_string(shape));
    check_sum(shape, mask, static_cast<uint64_t>(trial));
  }
}

TEST_CASE("reductions of several blocks are right") {
  check_sum({40000}, {true}, 1);
  check_sum({40000, 3}, {true, false}, 2);
  check_sum({3, 40000}, {false, true}, 3);
  check_sum({5, 700, 9, 7}, {true, false, true, false}, 4);
  check_sum({2, 9000, 5}, {false, true, false}, 5);
}

TEST_CASE("sum_to sums over what was broadcast, and gives back what was not") {
  const Tensor x = integers({2, 3, 4}, 1);
  CHECK(sum_to(x, {2, 3, 4}).data<float>() == x.data<float>());
  CHECK_SAME(sum_to(x, {4}), plain(x, {true, true, false}));
  CHECK_SAME(sum_to(x, {}), plain(x, {true, true, true}));
  const auto as = [](const Shape& shape, const Tensor& t) { return Tensor::from(shape, t.values<float>()); };
  CHECK_SAME(sum_to(x, {3, 1}), as({3, 1}, plain(x, {true, false, true})));
  CHECK_SAME(sum_to(x, {1, 1, 4}), as({1, 1, 4}, plain(x, {true, true, false})));
  CHECK_SAME(sum_to(x, {2, 1, 4}), as({2, 1, 4}, plain(x, {false, true, false})));
  CHECK_SAME(sum_to(Tensor::zeros({0, 3}), {3}), Tensor::zeros({3}));
}
