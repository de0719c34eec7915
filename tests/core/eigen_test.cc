#include <sinter/sinter.h>
#ifdef EIGEN_WORLD_VERSION
#error "sinter.h includes Eigen"
#endif

#include <sinter/core/eigen.h>

#include "../support.h"

using namespace sinter;

namespace {
template <class T>
concept Viewable = requires(T&& x) {
  eigen::matrix(std::forward<T>(x));
  eigen::array(std::forward<T>(x));
};
template <class T>
concept Writable = requires(T&& x) {
  eigen::mutable_matrix(std::forward<T>(x));
};
}  // namespace

static_assert(Viewable<Tensor&> && Viewable<const Tensor&>);
static_assert(!Viewable<Tensor>);  // a view of a temporary would dangle
static_assert(Writable<Tensor&> && !Writable<const Tensor&> && !Writable<Tensor>);

TEST_CASE("a view has the tensor's own elements, row by row") {
  const Tensor x = Tensor::from({2, 3}, {1, 2, 3, 4, 5, 6});
  const auto m = eigen::matrix(x);
  CHECK(m.data() == x.data<float>());
  CHECK(m(1, 0) == 4);
  CHECK(eigen::array(x)(0, 2) == 3);
}

TEST_CASE("the last axis is the columns, all others are the rows") {
  const auto size = [](const Shape& shape) {
    const Tensor x = Tensor::zeros(shape);
    CHECK(eigen::array(x).rows() == eigen::matrix(x).rows());
    CHECK(eigen::array(x).cols() == eigen::matrix(x).cols());
    return Shape{eigen::matrix(x).rows(), eigen::matrix(x).cols()};
  };
  CHECK(size({2, 3, 4, 5}) == Shape{24, 5});
  CHECK(size({5}) == Shape{1, 5});
  CHECK(size({}) == Shape{1, 1});
  CHECK(size({0, 4}) == Shape{0, 4});
  CHECK(size({4, 0}) == Shape{4, 0});
}

TEST_CASE("Eigen computes with tensors") {
  Tensor a = test::normal({3, 4}), b = test::normal({4, 2}, 2), y = Tensor::zeros({3, 2});
  eigen::mutable_matrix(y) = eigen::matrix(a) * eigen::matrix(b);
  CHECK_CLOSE(y, matmul(a, b));

  Tensor image = test::normal({2, 3, 3, 4});
  const Tensor mean = Tensor::from({4}, {1, 2, 3, 4}), expected = image - mean;
  eigen::mutable_array(image).rowwise() -= eigen::array(mean).row(0);
  CHECK_SAME(image, expected);

  Tensor q = Tensor::from({3}, std::vector<int8_t>{-100, 5, 100});
  eigen::mutable_array<int8_t>(q) = eigen::array<int8_t>(q).min(int8_t{50}).max(int8_t{-50});
  CHECK_SAME(q, Tensor::from({3}, std::vector<int8_t>{-50, 5, 50}));
}

TEST_CASE("autograd notices that a view for writing was taken") {
  Tensor x = test::normal({2, 3});
  x.set_requires_grad(true);
  Tensor y = relu(x);
  eigen::mutable_array(y) += 1;
  CHECK_ERROR(y.backward(Tensor::ones({2, 3})), "relu needs a float32 [2,3] that was overwritten");
}

TEST_CASE("a view has the tensor's type, and a tensor") {
  Tensor x = Tensor::zeros({2}, DType::int32);
  CHECK_ERROR(eigen::matrix(x), "tensor is int32 [2], read as float32");
  CHECK_ERROR(eigen::mutable_array<int64_t>(x), "tensor is int32 [2], read as int64");
  const Tensor none;
  CHECK_ERROR(eigen::array(none), "undefined tensor");
}
