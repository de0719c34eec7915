#include "../../core/tensor.h"

#include <cmath>
#include <limits>

#include "../../core/ops/relu.h"
#include "../../core/random.h"
#include "../support.h"

using namespace sinter;

namespace {
const float kNan = std::numeric_limits<float>::quiet_NaN();
}

TEST_CASE("a tensor is made of values") {
  const Tensor x = Tensor::from({2, 3}, {1, 2, 3, 4, 5, 6});
  CHECK(x.defined());
  CHECK(x.spec() == Spec{DType::float32, {2, 3}});
  CHECK(x.rank() == 2);
  CHECK(x.size(-1) == 3);
  CHECK(x.elements() == 6);
  CHECK(x.bytes() == 24);
  CHECK(x.at({0, 0}) == 1);
  CHECK(x.at({1, 0}) == 4);  // row-major
  CHECK(x.values<float>()[5] == 6);

  CHECK(Tensor::from({2}, std::vector<int16_t>{-3, 4}).at<int16_t>({1}) == 4);
  CHECK(Tensor::full({}, 2.5).item() == 2.5f);
  CHECK(Tensor::from({0, 3}, std::vector<float>{}).elements() == 0);
  CHECK_ERROR(Tensor::from({2, 2}, {1, 2, 3}), "from: 3 values for shape [2,2], expected 4");
}

TEST_CASE_TEMPLATE("constants and counts of every type", T, float, int8_t, uint8_t, int16_t, int32_t, int64_t) {
  const DType dtype = DTypeOf<T>::value;
  const Tensor zeros = Tensor::zeros({2, 2}, dtype), ones = Tensor::ones({2, 2}, dtype);
  const Tensor full = Tensor::full({3}, 100, dtype);
  for (const T value : zeros.values<T>()) CHECK(value == 0);
  for (const T value : ones.values<T>()) CHECK(value == 1);
  for (const T value : full.values<T>()) CHECK(value == 100);
  const Tensor counts = Tensor::arange(5, dtype);
  for (int64_t i = 0; i < 5; ++i) CHECK(counts.at<T>({i}) == static_cast<T>(i));
  CHECK(Tensor::arange(0, dtype).shape() == Shape{0});
}

TEST_CASE("a constant that the type has not is refused") {
  CHECK_ERROR(Tensor::full({1}, 128, DType::int8), "full: 128 is no int8");
  CHECK_ERROR(Tensor::full({1}, -1, DType::uint8), "full: -1 is no uint8");
  CHECK_ERROR(Tensor::full({1}, 0.5, DType::int32), "full: 0.5 is no int32");
  CHECK_ERROR(Tensor::full({1}, kNan, DType::int32), "full: nan is no int32");
  CHECK_ERROR(Tensor::full({1}, 0x1p63, DType::int64), "is no int64");
  CHECK(Tensor::full({1}, -0x1p63, DType::int64).item<int64_t>() == std::numeric_limits<int64_t>::min());
  CHECK_ERROR(Tensor::arange(129, DType::int8), "arange: 129 values do not fit int8");
  CHECK(Tensor::arange(128, DType::int8).at<int8_t>({127}) == 127);
  CHECK_ERROR(Tensor::arange(-1), "shape: axis 0 has size -1");
}

TEST_CASE("copies share the elements, clones have their own") {
  Tensor x = Tensor::from({2}, {1, 2});
  Tensor same = x;
  Tensor other = x.clone();
  same.mutable_data<float>()[0] = 5;
  CHECK(x.at({0}) == 5);
  CHECK(other.at({0}) == 1);
  CHECK(x.detach().data<float>() == x.data<float>());
  CHECK(!Tensor().clone().defined());
}

TEST_CASE("values are copied into a tensor in place") {
  Tensor x = Tensor::zeros({2});
  const float* before = x.data<float>();
  x.copy_from(Tensor::from({2}, {3, 4}));
  CHECK(x.data<float>() == before);
  CHECK(x.at({1}) == 4);
  x.copy_from(x);
  CHECK(x.at({1}) == 4);
  CHECK_ERROR(x.copy_from(Tensor::zeros({1, 2})), "copy_from: tensor is float32 [2], values are float32 [1,2]");
  CHECK_ERROR(x.copy_from(Tensor::zeros({2}, DType::int8)), "copy_from: tensor is float32 [2], values are int8 [2]");

  Tensor large = Tensor::zeros({300'001}, DType::int8);
  const Tensor values = Tensor::full({300'001}, 7, DType::int8);
  large.copy_from(values);
  CHECK_SAME(large, values);
}

TEST_CASE("wrong reads are errors that say what is there") {
  const Tensor x = Tensor::zeros({2, 3});
  CHECK_ERROR(x.data<int8_t>(), "tensor is float32 [2,3], read as int8");
  CHECK_ERROR(Tensor().data<float>(), "the values of an undefined tensor were read");
  CHECK_ERROR(Tensor().to(DType::int8), "the values of an undefined tensor were read");
  CHECK_ERROR(x.at({0}), "at: 1 indices for a tensor of shape [2,3]");
  CHECK_ERROR(x.at({0, 3}), "at: index 3 on axis 1 is out of bounds for shape [2,3]");
  CHECK_ERROR(x.at({-1, 0}), "at: index -1 on axis 0 is out of bounds for shape [2,3]");
  CHECK_ERROR(x.item(), "item: tensor is [2,3], expected one element");
  CHECK_ERROR(x.size(2), "axis 2 is out of range for 2 axes");
  CHECK_ERROR(Tensor::zeros({0}).item(), "expected one element");
}

TEST_CASE("floats become integers by rounding half to even, and saturate") {
  const Tensor x = Tensor::from({8}, {0.5f, 1.5f, -0.5f, -1.5f, 2.4999998f, 1e9f, -INFINITY, INFINITY});
  CHECK_SAME(x.to(DType::int8), Tensor::from({8}, std::vector<int8_t>{0, 2, 0, -2, 2, 127, -128, 127}));
  CHECK_SAME(x.to(DType::uint8), Tensor::from({8}, std::vector<uint8_t>{0, 2, 0, 0, 2, 255, 0, 255}));
  const auto most = std::numeric_limits<int64_t>::max(), least = std::numeric_limits<int64_t>::min();
  CHECK_SAME(Tensor::from({2}, {0x1p63f, -0x1p63f}).to(DType::int64),
             Tensor::from({2}, std::vector<int64_t>{most, least}));
  CHECK_ERROR(Tensor::from({2}, {1, kNan}).to(DType::int16), "to: element 1 is NaN, which no int16 represents");
}

TEST_CASE("integers become others by saturating, and floats by rounding") {
  const Tensor x = Tensor::from({4}, std::vector<int32_t>{-1000, -1, 200, 16'777'217});
  CHECK_SAME(x.to(DType::int8), Tensor::from({4}, std::vector<int8_t>{-128, -1, 127, 127}));
  CHECK_SAME(x.to(DType::uint8), Tensor::from({4}, std::vector<uint8_t>{0, 0, 200, 255}));
  CHECK_SAME(x.to(DType::int64), Tensor::from({4}, std::vector<int64_t>{-1000, -1, 200, 16'777'217}));
  CHECK_SAME(x.to(DType::float32), Tensor::from({4}, {-1000, -1, 200, 16'777'216}));
}

TEST_CASE("a conversion has a gradient of its own, which is none") {
  Tensor x = Tensor::ones({2}).set_requires_grad(true);
  CHECK(!relu(x).to(DType::float32).requires_grad());
  CHECK(!relu(x).clone().requires_grad());
  CHECK(!relu(x).detach().requires_grad());
}

TEST_CASE("tensors print type, shape and values, long axes abbreviated") {
  CHECK(to_string(Tensor()) == "undefined tensor");
  CHECK(to_string(Tensor::full({}, 0.1)) == "float32 [] 0.1");
  CHECK(to_string(Tensor::from({2, 2}, {1, -2.5f, INFINITY, kNan})) == "float32 [2,2] [[1, -2.5], [inf, nan]]");
  CHECK(to_string(Tensor::from({2}, std::vector<int8_t>{-128, 127})) == "int8 [2] [-128, 127]");
  CHECK(to_string(Tensor::arange(8, DType::int64)) == "int64 [8] [0, 1, 2, 3, 4, 5, 6, 7]");
  CHECK(to_string(Tensor::arange(9, DType::int64)) == "int64 [9] [0, 1, 2, ..., 6, 7, 8]");
  CHECK(to_string(Tensor::zeros({0, 2})) == "float32 [0,2] []");
  CHECK(to_string(Tensor::zeros({2, 0})) == "float32 [2,0] [[], []]");
  CHECK(text(Spec{DType::int16, {4, 1}}) == "int16 [4,1]");
}

TEST_CASE("only float32 leaves ask for gradients") {
  Tensor x = Tensor::ones({2});
  CHECK(!x.requires_grad());
  CHECK(x.set_requires_grad(true).requires_grad());
  CHECK_ERROR(Tensor::ones({2}, DType::int8).set_requires_grad(true),
              "set_requires_grad: tensor is int8 [2], expected float32");
  Tensor y = relu(x);
  CHECK_ERROR(y.set_requires_grad(false), "set_requires_grad: the tensor was made by an operation; detach() it first");
  CHECK(!x.set_requires_grad(false).requires_grad());
  CHECK(!relu(x).requires_grad());
}

TEST_CASE("a gradient is replaced only by one that fits") {
  Tensor x = Tensor::ones({2}).set_requires_grad(true);
  CHECK(!x.grad().defined());
  x.set_grad(Tensor::from({2}, {1, 2}));
  CHECK(x.grad().at({1}) == 2);
  CHECK_ERROR(x.set_grad(Tensor::ones({1, 2})), "set_grad: gradient is float32 [1,2], expected float32 [2]");
  CHECK_ERROR(x.set_grad(Tensor::ones({2}, DType::int32)), "set_grad: gradient is int32 [2], expected float32 [2]");
  x.set_grad({});
  CHECK(!x.grad().defined());
}

TEST_CASE("modes hold for a scope, also one that is left by an error") {
  CHECK(grad_enabled());
  CHECK(!training_mode());
  try {
    const NoGrad no_grad;
    const TrainingMode training(true);
    CHECK(!grad_enabled());
    CHECK(training_mode());
    {
      const NoGrad again;
      const TrainingMode evaluation(false);
      CHECK(!training_mode());
    }
    CHECK(!grad_enabled());
    CHECK(training_mode());
    fail("leave");
  } catch (const Error&) {
  }
  CHECK(grad_enabled());
  CHECK(!training_mode());
}
