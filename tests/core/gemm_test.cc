#include "../../core/gemm.h"

#include "../support.h"

using namespace sinter;

namespace {

Tensor transposed(const Tensor& x) {
  Tensor result = Tensor::empty({x.size(1), x.size(0)});
  float* out = result.mutable_data<float>();
  for (int64_t i = 0; i < x.size(1); ++i)
    for (int64_t j = 0; j < x.size(0); ++j) *out++ = x.at({j, i});
  return result;
}

}  // namespace

TEST_CASE("matrix products are those of loops, transposed or added to what is there") {
  struct Size {
    int64_t rows, columns, depth;
  };
  for (const Size& size : {Size{1, 1, 1}, Size{3, 5, 7}, Size{17, 33, 20}, Size{1, 40, 9}, Size{50, 1, 64},
                           Size{4, 3, 0}, Size{0, 3, 2}, Size{2, 0, 3}}) {
    const int64_t rows = size.rows, columns = size.columns, depth = size.depth;
    const Tensor a = test::normal({rows, depth}, 1), b = test::normal({depth, columns}, 2),
                 start = test::normal({rows, columns}, 3);
    const Tensor a_transposed = transposed(a), b_transposed = transposed(b);
    for (const bool transpose_a : {false, true})
      for (const bool transpose_b : {false, true})
        for (const bool accumulate : {false, true}) {
          CAPTURE(rows);
          CAPTURE(columns);
          CAPTURE(depth);
          CAPTURE(transpose_a);
          CAPTURE(transpose_b);
          CAPTURE(accumulate);
          Tensor expected = accumulate ? start.clone() : Tensor::zeros({rows, columns}), c = start.clone();
          float* sums = expected.mutable_data<float>();
          for (int64_t i = 0; i < rows; ++i)
            for (int64_t j = 0; j < columns; ++j)
              for (int64_t k = 0; k < depth; ++k) sums[i * columns + j] += a.at({i, k}) * b.at({k, j});
          onednn::gemm({.rows = rows,
                        .columns = columns,
                        .depth = depth,
                        .transpose_a = transpose_a,
                        .transpose_b = transpose_b,
                        .accumulate = accumulate},
                       (transpose_a ? a_transposed : a).data<float>(), (transpose_b ? b_transposed : b).data<float>(),
                       c.mutable_data<float>());
          CHECK_CLOSE(c, expected, 1e-5, 1e-5);
        }
  }
}
