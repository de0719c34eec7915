#pragma once
// Tensors as Eigen expressions, for arithmetic of your own. Not in sinter.h, as it needs Eigen:
//
//     #include <sinter/core/eigen.h>
//     const auto m = eigen::matrix(x);                                         // [rows, last axis]
//     const eigen::Matrix<float> covariance = m.transpose() * m;
//     eigen::mutable_array(image).rowwise() -= eigen::array(mean).row(0);      // [N,H,W,C] - [C]

#include <Eigen/Core>

#include "tensor.h"

namespace sinter::eigen {

/// Row-major, as tensors are.
template <class T>
using Matrix = Eigen::Matrix<T, Eigen::Dynamic, Eigen::Dynamic, Eigen::RowMajor>;
template <class T>
using Array = Eigen::Array<T, Eigen::Dynamic, Eigen::Dynamic, Eigen::RowMajor>;

/// A tensor's own elements; the tensor has to live at least as long.
template <class Expression>
using View = Eigen::Map<Expression, Eigen::Aligned64>;

namespace detail {

template <class Expression, class Pointer>
View<Expression> view(Pointer data, const Shape& shape) {
  const int64_t columns = shape.rank() == 0 ? 1 : shape[-1];
  int64_t rows = 1;
  for (int axis = 0; axis + 1 < shape.rank(); ++axis) rows *= shape[axis];
  return View<Expression>(data, rows, columns);
}

}  // namespace detail

/// The elements as a matrix [product of the leading axes, last axis]: [N,H,W,C] is [N*H*W,C], [C] is one row, and a
/// tensor without axes is 1x1. Throws Error when T is not the element type, or the tensor is undefined or only traced.
template <class T = float>
View<const Matrix<T>> matrix(const Tensor& x) {
  return detail::view<const Matrix<T>>(x.data<T>(), x.shape());
}
/// The same for writing, as with `Tensor::mutable_data`: what is written through the view later is noticed, too.
template <class T = float>
View<Matrix<T>> mutable_matrix(Tensor& x) {
  return detail::view<Matrix<T>>(x.mutable_data<T>(), x.shape());
}

/// The same elements for arithmetic element by element.
template <class T = float>
View<const Array<T>> array(const Tensor& x) {
  return detail::view<const Array<T>>(x.data<T>(), x.shape());
}
template <class T = float>
View<Array<T>> mutable_array(Tensor& x) {
  return detail::view<Array<T>>(x.mutable_data<T>(), x.shape());
}

/// A view of a temporary would dangle.
template <class T = float>
View<const Matrix<T>> matrix(const Tensor&& x) = delete;
template <class T = float>
View<const Array<T>> array(const Tensor&& x) = delete;

}  // namespace sinter::eigen
