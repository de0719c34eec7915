#include "../../core/shape.h"

#include "../support.h"

using namespace sinter;

TEST_CASE("a shape knows its axes and elements") {
  const Shape shape{2, 3, 4};
  CHECK(shape.rank() == 3);
  CHECK(shape.elements() == 24);
  CHECK(shape[0] == 2);
  CHECK(shape[-1] == 4);
  CHECK(shape[-3] == 2);
  CHECK(std::vector<int64_t>(shape.begin(), shape.end()) == std::vector<int64_t>{2, 3, 4});
  CHECK(to_string(shape) == "[2,3,4]");

  CHECK(Shape().rank() == 0);
  CHECK(Shape().elements() == 1);
  CHECK(to_string(Shape()) == "[]");
  CHECK(Shape{3, 0, 2}.elements() == 0);
}

TEST_CASE("shapes are equal in rank and sizes") {
  CHECK(Shape{2, 3} == Shape{2, 3});
  CHECK(Shape{2, 3} != Shape{3, 2});
  CHECK(Shape{2} != Shape{2, 1});
  CHECK(Shape{} != Shape{0});
}

TEST_CASE("an axis is changed in a copy") {
  const Shape shape{2, 3};
  CHECK(shape.with(0, 5) == Shape{5, 3});
  CHECK(shape.with(-1, 0) == Shape{2, 0});
  CHECK(shape == Shape{2, 3});
  CHECK_ERROR(shape.with(2, 1), "shape: axis 2 is out of range for 2 axes");
  CHECK_ERROR(shape.with(0, -1), "shape: axis 0 has size -1, expected at least 0");
}

TEST_CASE("impossible shapes are refused") {
  CHECK_ERROR((Shape{2, -3}), "shape: axis 1 has size -3, expected at least 0");
  CHECK_ERROR((Shape{1, 1, 1, 1, 1, 1, 1}), "shape: 7 axes, at most 6 are supported");
  CHECK((Shape{int64_t{1} << 62}).elements() == int64_t{1} << 62);
  CHECK_ERROR((Shape{int64_t{1} << 62, 2}), "shape: more than 2^62 elements");
  CHECK_ERROR((Shape{int64_t{1} << 32, int64_t{1} << 32}), "shape: more than 2^62 elements");
  // A zero hides no overflow: such a shape would get one when its axes are looked at in another order.
  CHECK_ERROR((Shape{0, int64_t{1} << 40, int64_t{1} << 40}), "shape: more than 2^62 elements");
}

TEST_CASE("axes count from either end") {
  CHECK(normalize_axis(0, 3, "op") == 0);
  CHECK(normalize_axis(-1, 3, "op") == 2);
  CHECK(normalize_axis(-3, 3, "op") == 0);
  CHECK_ERROR(normalize_axis(3, 3, "softmax"), "softmax: axis 3 is out of range for 3 axes");
  CHECK_ERROR(normalize_axis(-4, 3, "softmax"), "softmax: axis -4 is out of range for 3 axes");
  CHECK_ERROR(normalize_axis(0, 0, "softmax"), "softmax: axis 0 is out of range for 0 axes");
  CHECK_ERROR((Shape{2, 3}[2]), "shape: axis 2 is out of range for 2 axes");
}
