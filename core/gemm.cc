#include "gemm.h"

#include <algorithm>
#include <mutex>
#include <oneapi/dnnl/dnnl.hpp>

#include "error.h"
#include "kernel/isa.h"
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
  const auto rows = [&](int64_t begin, int64_t end) {
    const dnnl::status status = dnnl::sgemm(g.transpose_a ? 'T' : 'N', g.transpose_b ? 'T' : 'N', end - begin,
                                            g.columns, g.depth, 1, a + begin * (g.transpose_a ? 1 : g.depth), a_step, b,
                                            b_step, g.accumulate ? 1 : 0, c + begin * g.columns, g.columns);
    check(status == dnnl::status::success, "matmul: oneDNN refused [", g.rows, ",", g.depth, "] x [", g.depth, ",",
          g.columns, "]");
  };
  if (isa() == Isa::avx512) return rows(0, g.rows);
  // With AVX and AVX2 its sums depend on how it splits the work among threads, so the split is ours.
  constexpr int64_t kRows = 64;
  parallel_for((g.rows + kRows - 1) / kRows, 1, [&](int64_t begin, int64_t end) {
    const OneThread alone;
    for (int64_t i = begin; i < end; ++i) rows(i * kRows, std::min((i + 1) * kRows, g.rows));
  });
}

}  // namespace sinter::onednn
