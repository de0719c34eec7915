#include "../../../quant/integer/strided.h"

#include "../../support.h"

using namespace sinter;
using namespace sinter::quant;

TEST_CASE("elements are copied from strides to strides, of any type") {
  const Tensor x = Tensor::arange(24);
  for (const DType type : {DType::float32, DType::int8, DType::int16}) {
    // x as [2,3,4], its last axis backwards, to every other element.
    Tensor y = Tensor::zeros({2, 4, 3, 2}, type);
    copy_strided({{2, 4, 3}, {12, -1, 4}, {24, 6, 2}, 3, 1}, x.to(type), y);
    const Tensor values = y.to(DType::float32);
    for (int64_t i = 0; i < 2; ++i)
      for (int64_t j = 0; j < 4; ++j)
        for (int64_t k = 0; k < 3; ++k) {
          CHECK(values.at({i, j, k, 1}) == static_cast<float>(i * 12 + k * 4 + 3 - j));
          CHECK(values.at({i, j, k, 0}) == 0);
        }
  }
  Tensor other = Tensor::zeros({24}, DType::int64);
  CHECK_ERROR(copy_strided({{24}, {1}, {1}}, x.to(DType::int64), other),
              "copy of int64, expected int8, int16 or float32");
}

TEST_CASE("axes of one element and of none") {
  const Tensor x = Tensor::arange(6);
  Tensor y = Tensor::zeros({6});
  copy_strided({{1, 6, 1}, {100, 1, 100}, {100, 1, 100}}, x, y);
  CHECK_SAME(y, x);
  copy_strided({{1, 1}, {7, 7}, {7, 7}, 4, 2}, x, y);
  CHECK_SAME(y, Tensor::from({6}, {0, 1, 4, 3, 4, 5}));
  copy_strided({{3, 0}, {1, 1}, {1, 1}}, x, y);
  CHECK_SAME(y, Tensor::from({6}, {0, 1, 4, 3, 4, 5}));
}

TEST_CASE("a broadcast tensor has its values at all indices of an axis of size 1") {
  const Tensor x = Tensor::from({2, 1, 3}, {1, 2, 3, 4, 5, 6});
  CHECK_SAME(expanded(x, {2, 2, 3}), Tensor::from({2, 2, 3}, {1, 2, 3, 1, 2, 3, 4, 5, 6, 4, 5, 6}));
  const Tensor column = Tensor::from({2, 2, 1}, {1, 2, 3, 4});
  CHECK_SAME(expanded(column, {2, 2, 2}), Tensor::from({2, 2, 2}, {1, 1, 2, 2, 3, 3, 4, 4}));
  CHECK(expanded(x, x.shape()).data<float>() == x.data<float>());
}

TEST_CASE("a copy does not depend on threads") {
  CHECK_THREADS([](const Tensor& x) { return expanded(x, {40, 30, 50}); }, {test::normal({40, 1, 50})});
}
