#pragma once
// Private: products of matrices, by oneDNN.

#include <cstdint>

namespace sinter::onednn {

/// c = a b (+ c, with `accumulate`): float32 matrices, row-major and dense, c [rows,columns], a [rows,depth] or,
/// transposed, [depth,rows], b [depth,columns] or [columns,depth].
struct Gemm {
  int64_t rows = 0, columns = 0, depth = 0;
  bool transpose_a = false, transpose_b = false, accumulate = false;
};
void gemm(const Gemm& g, const float* a, const float* b, float* c);

}  // namespace sinter::onednn
