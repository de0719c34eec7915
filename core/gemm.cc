#include "gemm.h"

#include <algorithm>
#include <mutex>
#include <oneapi/dnnl/dnnl.hpp>

#include "error.h"
#include "one_thread.h"
#include "onednn_primitive.h"
#include "parallel.h"

namespace sinter::onednn {

void gemm(const Gemm& g, const float* a, const float* b, float* c) {
  if (g.rows == 0 || g.columns == 0) return;
  if (g.depth == 0) {
    if (!g.accumulate) std::fill_n(c, g.rows * g.columns, 0.0f);
    return;
  }
  static std::once_flag first;  // makes the code for all others
  std::call_once(first, expect_memory_for_code);
  const int64_t a_step = g.transpose_a ? g.rows : g.depth, b_step = g.transpose_b ? g.depth : g.columns;
  // How sgemm splits the work among threads changes its sums, so the split is ours, and the same for any number: of the
  // longer side of c, in blocks that are worth reading the other operand again.
  const bool by_rows = g.rows >= g.columns;
  const int64_t side = by_rows ? g.rows : g.columns;
  constexpr int64_t kBlocks = 8, kLeast = 128, kMacs = 1 << 22;
  const int64_t other = (by_rows ? g.columns : g.rows) * g.depth;
  const int64_t blocks = std::clamp<int64_t>(std::min(side / kLeast, side * other / kMacs), 1, kBlocks);
  const int64_t block = ((side + blocks - 1) / blocks + 15) / 16 * 16;
  parallel_for((side + block - 1) / block, 1, [&](int64_t begin, int64_t end) {
    const OneThread alone;
    for (int64_t first = begin * block; first < std::min(end * block, side); first += block) {
      const int64_t count = std::min(block, side - first);
      const int64_t row = by_rows ? first : 0, column = by_rows ? 0 : first;
      const dnnl::status status = dnnl::sgemm(
          g.transpose_a ? 'T' : 'N', g.transpose_b ? 'T' : 'N', by_rows ? count : g.rows, by_rows ? g.columns : count,
          g.depth, 1, a + row * (g.transpose_a ? 1 : g.depth), a_step, b + column * (g.transpose_b ? g.depth : 1),
          b_step, g.accumulate ? 1 : 0, c + row * g.columns + column, g.columns);
      check(status == dnnl::status::success, "matmul: oneDNN refused [", g.rows, ",", g.depth, "] x [", g.depth, ",",
            g.columns, "]");
    }
  });
}

}  // namespace sinter::onednn
