#include "../../../core/kernel/batch_norm.h"

#include <cmath>

#include "../../support.h"
#include "tables.h"

using namespace sinter;
using kernel::BatchNormKernels;

namespace {

struct Size {
  int64_t count, period;
};
// Whole vectors, parts of one, and both.
const std::vector<Size> kSizes{{1, 1}, {3, 7}, {5, 16}, {4, 33}, {9, 256}, {2, 300}, {0, 8}};

// All results of a table on the same values.
std::vector<Tensor> results(const BatchNormKernels& k, const Size& size) {
  const auto [count, period] = size;
  const Tensor dy = test::normal({count, period}, 1), y = test::normal({count, period}, 2),
               x = test::normal({count, period}, 3), skip = test::normal({count, period}, 4);
  const Tensor mean = test::normal({period}, 5), scale = test::normal({period}, 6), slope = test::normal({period}, 7),
               offset = test::normal({period}, 8);
  const auto at = [](const Tensor& t) { return t.data<float>(); };
  std::vector<Tensor> all;
  const auto result = [&](const Shape& shape) {
    all.push_back(test::normal(shape, 9));  // sums start anywhere
    return all.back().mutable_data<float>();
  };

  k.sum(at(x), count, period, result({period}));
  k.sum_squares(at(x), at(mean), count, period, result({period}));
  for (const float* added : {at(skip), static_cast<const float*>(nullptr)})
    for (const float ceiling : {0.0f, INFINITY, 0.5f})
      k.affine(at(x), at(scale), at(offset), added, ceiling, count, period, result({count, period}));
  const kernel::ActivationMask masks[] = {
      {}, {at(y), nullptr, nullptr, INFINITY}, {at(y), nullptr, nullptr, 0.5f}, {nullptr, at(scale), at(offset), 0.5f}};
  for (const kernel::ActivationMask& mask : masks) {
    float* sums = result({period});
    k.gradient_sums(at(dy), mask, at(x), at(mean), count, period, sums, result({period}));
    k.gradient(at(dy), mask, at(x), at(scale), at(slope), at(offset), count, period, result({count, period}), nullptr);
    const Tensor elsewhere = all.back();
    float* dx = result({count, period});
    k.gradient(at(dy), mask, at(x), at(scale), at(slope), at(offset), count, period, dx, result({count, period}));
    float* in_place = result({count, period});
    std::copy_n(at(dy), count * period, in_place);
    k.gradient(in_place, mask, at(x), at(scale), at(slope), at(offset), count, period, in_place, nullptr);
    CHECK_SAME(all.back(), elsewhere);
  }
  return all;
}

}  // namespace

TEST_CASE("batch normalisation's kernels have the same bits on every instruction set") {
  for (const Size& size : kSizes) {
    CAPTURE(size.count);
    CAPTURE(size.period);
    const auto expected = results(kernel::batch_norm_kernels_baseline, size);
    for (const auto* table : RUNNABLE_TABLES(BatchNormKernels, kernel::batch_norm_kernels)) {
      const auto found = results(*table, size);
      for (size_t i = 0; i < expected.size(); ++i) {
        CAPTURE(i);
        CHECK_SAME(found[i], expected[i]);
      }
    }
  }
}

TEST_CASE("batch normalisation's kernels compute what they say") {
  const auto& k = kernel::batch_norm_kernels_baseline;
  const float x[] = {1, -2, 3, 4}, scale[] = {2, -1}, shift[] = {1, 0.5f}, skip[] = {-9, 1, 2, -3}, dy[] = {1, 2, 4, 8};
  float acc[] = {10, 20}, squares[] = {0, 1}, y[4], sums[] = {0, 0}, sums_x[] = {0, 0}, dx[4], dskip[4];
  k.sum(x, 2, 2, acc);
  CHECK_SAME(Tensor::from({2}, std::span<const float>(acc)), Tensor::from({2}, {14, 22}));
  k.sum_squares(x, shift, 2, 2, squares);
  CHECK_SAME(Tensor::from({2}, std::span<const float>(squares)), Tensor::from({2}, {4, 19.5}));
  k.affine(x, scale, shift, skip, 6, 2, 2, y);
  const Tensor output = Tensor::from({4}, std::span<const float>(y));
  CHECK_SAME(output, Tensor::from({4}, {0, 3.5, 6, 0}));
  const kernel::ActivationMask mask{y, nullptr, nullptr, 6};
  k.gradient_sums(dy, mask, x, shift, 2, 2, sums, sums_x);
  CHECK_SAME(Tensor::from({2}, std::span<const float>(sums)), Tensor::from({2}, {0, 2}));
  CHECK_SAME(Tensor::from({2}, std::span<const float>(sums_x)), Tensor::from({2}, {0, -5}));
  k.gradient(dy, mask, x, scale, shift, acc, 2, 2, dx, dskip);
  CHECK_SAME(Tensor::from({4}, std::span<const float>(dskip)), Tensor::from({4}, {0, 2, 0, 0}));
  CHECK_SAME(Tensor::from({4}, std::span<const float>(dx)), Tensor::from({4}, {15, 19, 17, 24}));
}
