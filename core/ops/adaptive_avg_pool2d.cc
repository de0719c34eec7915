#include "adaptive_avg_pool2d.h"

#include <optional>
#include <vector>

#include "avg_pool2d.h"
#include "concat.h"
#include "reduce.h"
#include "slice.h"

namespace sinter {

namespace {

struct Window {
  int64_t begin, end;
};

std::vector<Window> windows(int64_t in, int64_t out) {
  std::vector<Window> all;
  for (int64_t i = 0; i < out; ++i) all.push_back({i * in / out, ((i + 1) * in + out - 1) / out});
  return all;
}

// How one axis is pooled where its windows are alike.
struct Regular {
  int64_t kernel, stride;
};

std::optional<Regular> regular(const std::vector<Window>& all, int64_t in) {
  const int64_t kernel = all[0].end, stride = all.size() > 1 ? all[1].begin : in;
  for (size_t i = 0; i < all.size(); ++i) {
    const auto begin = static_cast<int64_t>(i) * stride;
    if (all[i].begin != begin || all[i].end != begin + kernel) return std::nullopt;
  }
  if (stride == 0) return std::nullopt;
  return Regular{kernel, stride};
}

Tensor pool_axis(const Tensor& x, int axis, const std::vector<Window>& all) {
  std::vector<Tensor> means;
  for (const Window& w : all)
    means.push_back(mean(slice(x, {.axis = axis, .begin = w.begin, .end = w.end}), {axis}, true));
  return concat(means, axis);
}

}  // namespace

Tensor adaptive_avg_pool2d(const Tensor& x, const Pair& size) {
  check(x.dtype() == DType::float32 && x.rank() == 4, "adaptive_avg_pool2d: input is ", x.spec(),
        ", expected float32 [N,H,W,C]");
  const int64_t height = x.size(1), width = x.size(2);
  check(size.h >= 1 && size.w >= 1, "adaptive_avg_pool2d: size is ", size, ", expected at least 1");
  check(height >= 1 && width >= 1, "adaptive_avg_pool2d: input is ", x.shape(), ", expected at least one pixel");
  if (size == Pair{1}) return mean(x, {1, 2}, true);
  if (size == Pair{height, width}) return x;
  const std::vector<Window> rows = windows(height, size.h), columns = windows(width, size.w);
  const auto v = regular(rows, height), h = regular(columns, width);
  if (v && h) return avg_pool2d(x, {.kernel = Pair{v->kernel, h->kernel}, .stride = {v->stride, h->stride}});
  Tensor y = x;
  if (size.h != height)
    y = v ? avg_pool2d(y, {.kernel = Pair{v->kernel, 1}, .stride = {v->stride, 1}}) : pool_axis(y, 1, rows);
  if (size.w != width)
    y = h ? avg_pool2d(y, {.kernel = Pair{1, h->kernel}, .stride = {1, h->stride}}) : pool_axis(y, 2, columns);
  return y;
}

}  // namespace sinter
