#include "../../../core/ops/resize.h"

#include <cmath>

#include "../../../core/graph.h"
#include "../../../core/ops/reshape.h"
#include "../../support.h"

using namespace sinter;

namespace {

auto by(const ResizeAttributes& attributes) {
  return [attributes](const Tensor& x) { return resize(x, attributes); };
}

ResizeAttributes attributes_of(const test::GoldenCase& c) {
  const auto size = c.attribute<std::vector<int64_t>>("size");
  return {.scale = {c.attribute<double>("scale_h"), c.attribute<double>("scale_w")},
          .size = {size.at(0), size.at(1)},
          .mode = c.attribute<std::string>("mode"),
          .align_corners = c.attribute<bool>("align_corners")};
}

}  // namespace

TEST_CASE("resize computes what PyTorch's interpolate computes") {
  for (const auto& c : test::golden("resize")) CHECK_GOLDEN(c, by(attributes_of(c)));
}

TEST_CASE("resize's gradient is that of finite differences") {
  CHECK_GRADIENT(by({.scale = {2, 1.5}}), {test::normal({2, 2, 3, 2})});
  CHECK_GRADIENT(by({.scale = {2, 0.7}, .mode = "bilinear"}), {test::normal({2, 3, 4, 2})});
  CHECK_GRADIENT(by({.size = {5, 2}, .mode = "bilinear", .align_corners = true}), {test::normal({1, 3, 4, 3})});
}

TEST_CASE("nearest takes the value itself, also for a scale that no float has") {
  const Tensor x = Tensor::from({1, 1, 3, 1}, {1, INFINITY, 3});
  CHECK_SAME(resize_nearest(x, 2), Tensor::from({1, 2, 6, 1}, {1, 1, INFINITY, INFINITY, 3, 3,  //
                                                               1, 1, INFINITY, INFINITY, 3, 3}));
  const Tensor row = reshape(Tensor::arange(300), {1, 1, 300, 1});
  const Tensor third = resize(row, {.size = {1, 100}});
  for (int64_t i = 0; i < 100; ++i) REQUIRE(third.at({0, 0, i, 0}) == static_cast<float>(3 * i));
  CHECK_SAME(resize_nearest(row, {1, 1.0 / 3}), third);
  CHECK_SAME(resize_nearest(third, {1, 7}), resize(third, {.size = {1, 700}}));
}

TEST_CASE("a plane stays one under bilinear resizing, but for its borders") {
  Tensor x = Tensor::empty({1, 4, 5, 2});
  for (int64_t i = 0; i < 4; ++i)
    for (int64_t j = 0; j < 5; ++j) {
      float* pixel = x.mutable_data<float>() + (i * 5 + j) * 2;
      pixel[0] = static_cast<float>(i);
      pixel[1] = static_cast<float>(2 * j);
    }
  const Tensor y = resize_bilinear(x, 2);
  for (int64_t i = 1; i < 7; ++i)
    for (int64_t j = 1; j < 9; ++j) {
      CHECK(y.at({0, i, j, 0}) == static_cast<float>(i) / 2 - 0.25f);
      CHECK(y.at({0, i, j, 1}) == static_cast<float>(j) - 0.5f);
    }
  CHECK(y.at({0, 0, 0, 0}) == 0);
  CHECK(y.at({0, 7, 9, 1}) == 8);
}

TEST_CASE("resize does not depend on the number of threads") {
  CHECK_THREADS(by({.scale = 2}), {test::normal({3, 20, 20, 24})});
  CHECK_THREADS(by({.scale = 1.7, .mode = "bilinear"}), {test::normal({3, 20, 20, 24})});
}

TEST_CASE("resize of an empty batch is empty") {
  Tensor x = Tensor::zeros({0, 2, 3, 4});
  x.set_requires_grad(true);
  const Tensor y = resize_bilinear(x, 2, true);
  CHECK(y.shape() == Shape{0, 4, 6, 4});
  y.backward(Tensor::zeros(y.shape()));
  CHECK(x.grad().shape() == x.shape());
}

TEST_CASE("a traced resize keeps the batch symbolic") {
  const auto f = [](const Tensor& x) { return resize_nearest(resize(x, {.size = {5, 7}, .mode = "bilinear"}), 2); };
  const Graph graph = trace(
      Traceable{.run = [f](std::vector<Tensor> x) { return std::vector{f(x[0])}; }, .parameters = {}, .modules = {}},
      {{DType::float32, {1, 3, 4, 2}}});
  const Tensor x = test::normal({3, 3, 4, 2});
  CHECK_SAME(graph(x), f(x));
}

TEST_CASE("resize prints its attributes") {
  std::string all;
  for (const Field& field : ops::Resize{{.scale = {2, 1.5}}}.fields()) all += text(field, ' ');
  CHECK(all == "scale_h=2 scale_w=1.5 size=[0,0] mode=nearest align_corners=false ");
}

TEST_CASE("resize says what does not fit") {
  const Tensor x = Tensor::zeros({1, 2, 2, 1});
  CHECK_ERROR(resize(x, {}), "resize: it needs a scale or a size, and not both");
  CHECK_ERROR(resize(x, {.scale = 2, .size = 4}), "resize: it needs a scale or a size, and not both");
  CHECK_ERROR(resize(x, {.size = {4, 0}}), "resize: size is 4x0, expected at least 1");
  CHECK_ERROR(resize_nearest(x, {2, -1}), "resize: scale is 2x-1, expected more than 0, at most 1e+06");
  CHECK_ERROR(resize_nearest(x, 1e9), "resize: scale is 1e+09x1e+09, expected more than 0, at most 1e+06");
  CHECK_ERROR(resize(x, {.scale = 2, .mode = "cubic"}),
              "resize: mode 'cubic' is unknown, expected nearest or bilinear");
  CHECK_ERROR(resize(x, {.scale = 2, .align_corners = true}), "resize: align_corners is for bilinear");
  CHECK_ERROR(resize_nearest(x, {1, 0.25}), "resize: of input [1,2,2,1] a scale of 1x0.25 leaves nothing");
  CHECK_ERROR(resize_nearest(Tensor::zeros({1, 0, 2, 1}), 2),
              "resize: input is [1,0,2,1], expected [N,H,W,C] with at least one pixel");
  CHECK_ERROR(resize_nearest(Tensor::zeros({4}), 2), "resize: input is [4], expected [N,H,W,C]");
  CHECK_ERROR(resize_nearest(Tensor::zeros({1, 2, 2, 1}, DType::int8), 2),
              "resize: input 0 is int8 [1,2,2,1], expected float32");
}
