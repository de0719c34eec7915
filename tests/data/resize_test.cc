#include "../../data/resize.h"

#include <cmath>

#include "../../core/ops/resize.h"
#include "../support.h"

using namespace sinter;
using data::resize_image;

TEST_CASE("bilinear and nearest resizing are those of networks' layers") {
  const Tensor x = test::normal({1, 7, 5, 3});
  for (const auto& size : {std::pair{14, 10}, std::pair{9, 4}, std::pair{3, 5}, std::pair{1, 1}}) {
    const Tensor y = resize_image(x, {size.first, size.second});
    const Tensor expected = resize(x, {.size = {size.first, size.second}, .mode = "bilinear"});
    REQUIRE(y.shape() == expected.shape());
    for (int64_t i = 0; i < y.elements(); ++i) CHECK(std::abs(y.data<float>()[i] - expected.data<float>()[i]) < 1e-5f);
  }
  CHECK_SAME(resize_image(x, {14, 10, "nearest"}), resize_nearest(x, 2));
  CHECK_SAME(resize_image(x, {7, 5, "area"}), x);
}

TEST_CASE("area is the mean of what a pixel covers, and smooth weighs it") {
  const Tensor x = Tensor::from({1, 1, 6, 1}, {1, 2, 3, 4, 5, 9});
  CHECK_SAME(resize_image(x, {1, 3, "area"}), Tensor::from({1, 1, 3, 1}, {1.5f, 3.5f, 7}));
  const Tensor y = resize_image(x, {1, 4, "area"});  // a pixel and a half each
  for (int64_t i = 0; i < 4; ++i)
    CHECK(y.data<float>()[i] ==
          doctest::Approx(std::array{4.0 / 3, 8.0 / 3, 13.0 / 3, 23.0 / 3}[static_cast<size_t>(i)]));
  // Pillow: weights 1, 3, 3, 1 of eight, and 3, 3, 1 of seven at the ends.
  const Tensor z = resize_image(x, {1, 3, "smooth"});
  CHECK(z.data<float>()[0] == doctest::Approx((3 * 1 + 3 * 2 + 3) / 7.0));
  CHECK(z.data<float>()[1] == doctest::Approx((2 + 3 * 3 + 3 * 4 + 5) / 8.0));
  CHECK(z.data<float>()[2] == doctest::Approx((4 + 3 * 5 + 3 * 9) / 7.0));
}

TEST_CASE("resizing says what does not fit") {
  CHECK_ERROR(resize_image(Tensor::zeros({4, 4, 3}), {2, 2}),
              "resize: image is float32 [4,4,3], expected float32 [1,H,W,C]");
  CHECK_ERROR(resize_image(Tensor::zeros({1, 4, 4, 3}), {0, 2}), "resize: size is 0x2, expected at least 1x1");
}
