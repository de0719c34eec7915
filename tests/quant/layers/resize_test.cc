#include "../../../core/ops/resize.h"

#include <cmath>

#include "../one_layer.h"
#include "layer.h"

using namespace sinter;
using namespace sinter::quant;
using namespace sinter::test;

namespace {

Tensor resized(const ResizeAttributes& a, const Tensor& x, const March& march = March::nash) {
  const bool wide = x.dtype() == DType::int16;
  return test::run(test::instruction("resize", ops::Resize(a)), {x}, x.dtype(), type_bounds(wide ? 16 : 8), march);
}

}  // namespace

TEST_CASE("nearest pixels are those of the float operation") {
  for (const DType type : {DType::int8, DType::int16})
    for (const ResizeAttributes& a :
         {ResizeAttributes{.scale = 2}, ResizeAttributes{.scale = {1.7, 0.6}}, ResizeAttributes{.size = {7, 3}}}) {
      const Tensor x = test::normal({2, 5, 6, 3}, 1, 40).to(type);
      CHECK_SAME(resized(a, x), resize(x.to(DType::float32), a).to(type));
    }
}

TEST_CASE("bilinear pixels are the float operation's, rounded, but where their weights have more bits") {
  for (const ResizeAttributes& a :
       {ResizeAttributes{.scale = 2, .mode = "bilinear"}, ResizeAttributes{.scale = {4, 8}, .mode = "bilinear"},
        ResizeAttributes{.scale = {1.3, 3}, .mode = "bilinear"},
        ResizeAttributes{.size = {3, 17}, .mode = "bilinear", .align_corners = true}}) {
    CAPTURE(a.scale);
    const bool exact = a.scale == Scale{2} || a.scale == Scale{4, 8};
    const Tensor x = test::normal({2, 5, 6, 3}, 1, 40).to(DType::int8);
    const Tensor y = resized(a, x), real = resize(x.to(DType::float32), a);
    int64_t wrong = 0;
    for (int64_t i = 0; i < y.elements(); ++i) {
      const double v = real.data<float>()[i], q = y.data<int8_t>()[i];
      // Weights of 16 bits an axis are off by 2^-17 of differences of at most 255.
      wrong += exact ? q != std::nearbyint(v) : std::abs(q - v) > 0.5 + 0.005;
    }
    CHECK(wrong == 0);
    const Tensor coarse = resized(a, x, March::bernoulli2);  // of 8 bits, and ties up
    wrong = 0;
    for (int64_t i = 0; i < y.elements(); ++i) {
      const double v = real.data<float>()[i], q = coarse.data<int8_t>()[i];
      wrong += exact ? q != std::floor(v + 0.5) : std::abs(q - v) > 0.5 + 1.1;
    }
    CHECK(wrong == 0);
  }
}

TEST_CASE("the extremes of both types stay what they are, and ties round as the datapath does") {
  for (const DType type : {DType::int8, DType::int16}) {
    const double low = type == DType::int8 ? -128 : -32768, high = -low - 1;
    for (const double value : {low, high}) {
      const Tensor x = Tensor::full({1, 3, 3, 2}, value, type);
      CHECK_SAME(resized({.scale = {2.3, 3}, .mode = "bilinear"}, x), Tensor::full({1, 6, 9, 2}, value, type));
    }
  }
  const Tensor x = Tensor::from({1, 1, 2, 1}, std::vector<int8_t>{0, 2});  // between them 0.5 and 1.5
  const ResizeAttributes a{.scale = {1, 2}, .mode = "bilinear"};
  CHECK_SAME(resized(a, x), Tensor::from({1, 1, 4, 1}, std::vector<int8_t>{0, 0, 2, 2}));
  CHECK_SAME(resized(a, x, March::bayes), Tensor::from({1, 1, 4, 1}, std::vector<int8_t>{0, 1, 2, 2}));
  March floor = March::bayes;
  floor.datapath = make_datapath("two_stage", std::vector<Field>{{"rounds", false}});
  CHECK_SAME(resized(a, x, floor), Tensor::from({1, 1, 4, 1}, std::vector<int8_t>{0, 0, 1, 2}));
}

TEST_CASE("the integers of nearest pixels are as they were, in a network") {
  check_moved(
      [](const Tensor& x) {
        return resize_nearest(x, {2, 1.5});
      },
      [](const Case& c, auto n, auto h, auto w, auto k) { return c.x[0].at(n, h / 2, w * 2 / 3, k); });
}

TEST_CASE("bilinear resizing is rounded once, and exact in its weights for factors of 2 and 4") {
  for (const int64_t factor : {2, 4})
    check_moved([&](const Tensor& x) { return resize_bilinear(x, static_cast<double>(factor)); },
                [&](const Case& c, int64_t n, int64_t h, int64_t w, int64_t k) {
                  // Everything in units of 1 / (2 factor) of a pixel: integers throughout.
                  const auto along = [&](int64_t i, int64_t size, int64_t& low, int64_t& high) {
                    const int64_t u = std::max<int64_t>(2 * i + 1 - factor, 0);
                    low = u / (2 * factor);
                    high = std::min(low + 1, size - 1);
                    return u % (2 * factor);
                  };
                  int64_t top, bottom, left, right;
                  const int64_t down = along(h, 5, top, bottom), across = along(w, 6, left, right), one = 2 * factor;
                  const int64_t sum =
                      (one - down) *
                          ((one - across) * c.x[0].at(n, top, left, k) + across * c.x[0].at(n, top, right, k)) +
                      down * ((one - across) * c.x[0].at(n, bottom, left, k) + across * c.x[0].at(n, bottom, right, k));
                  return c.path.shifted(sum, factor == 2 ? 4 : 6);
                });
}
