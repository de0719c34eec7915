#pragma once
// Private: a product of tensors as products of matrices.

#include <vector>

#include "broadcast.h"
#include "matmul.h"

namespace sinter::ops {

/// All axes but the last two.
inline Shape leading(const Shape& shape) {
  return Shape(std::span<const int64_t>(shape.begin(), static_cast<size_t>(shape.rank() - 2)));
}

/// Which matrix of each operand makes each one of the result, [m,n], as m n k products. With one b for all, the leading
/// axes are rows of a single product.
struct Products {
  int64_t m, k, n;
  std::vector<int64_t> a, b;  // matrices of the operands, one of the result after the other
  bool shared_a = false, shared_b = false;

  Products(const MatmulAttributes& t, const Shape& x, const Shape& w)
      : m(x[t.transpose_a ? -1 : -2]), k(x[t.transpose_a ? -2 : -1]), n(w[t.transpose_b ? -2 : -1]) {
    const Shape of_x = leading(x), of_w = leading(w);
    if (of_w.elements() == 1 && of_w.rank() <= of_x.rank() && !t.transpose_a) {
      m *= of_x.elements();
      a = b = {0};
      return;
    }
    const Shape all = broadcast_shape("matmul", of_x, of_w);
    const BroadcastPlan plan(of_x, of_w, all);
    for (int64_t i = 0; i < all.elements(); ++i) {
      int64_t rest = i, at_x = 0, at_w = 0;
      for (int axis = plan.rank - 1; axis >= 0; --axis) {
        at_x += rest % plan.sizes[axis] * plan.strides_a[axis];
        at_w += rest % plan.sizes[axis] * plan.strides_b[axis];
        rest /= plan.sizes[axis];
      }
      a.push_back(at_x);
      b.push_back(at_w);
    }
    shared_a = of_x.elements() < all.elements();
    shared_b = of_w.elements() < all.elements();
  }
  int64_t count() const { return static_cast<int64_t>(a.size()); }
};

}  // namespace sinter::ops
