#include "strided.h"

#include <algorithm>
#include <cstring>

#include "../../core/kernel/integers.h"
#include "../../core/parallel.h"

namespace sinter::quant {

namespace {

// Without axes of one element, and with those merged that lie behind each other in both.
StridedCopy merged(const StridedCopy& by) {
  StridedCopy result;
  result.from = by.from;
  result.to = by.to;
  for (size_t axis = 0; axis < by.sizes.size(); ++axis) {
    const int64_t size = by.sizes[axis], from = by.from_strides[axis], to = by.to_strides[axis];
    if (size == 1) continue;
    if (!result.sizes.empty() && result.from_strides.back() == from * size && result.to_strides.back() == to * size) {
      result.sizes.back() *= size;
      result.from_strides.back() = from;
      result.to_strides.back() = to;
      continue;
    }
    result.sizes.push_back(size);
    result.from_strides.push_back(from);
    result.to_strides.push_back(to);
  }
  if (result.sizes.empty()) {
    result.sizes = {1};
    result.from_strides = result.to_strides = {1};
  }
  return result;
}

// Without a call where it takes longer than a short run.
template <class T>
void copy_together(const T* from, T* to, int64_t count) {
  constexpr int64_t kBlock = 16 / static_cast<int64_t>(sizeof(T)), kShort = 8 * kBlock;
  if (count > kShort || count % kBlock != 0) {
    std::copy_n(from, count, to);
    return;
  }
  for (int64_t k = 0; k < count; k += kBlock) std::memcpy(to + k, from + k, 16);
}

template <class T>
void copy_run(const T* from, int64_t from_step, T* to, int64_t to_step, int64_t count) {
  if (from_step == 1 && to_step == 1) return copy_together(from, to, count);
  if constexpr (sizeof(T) < 4)
    if (to_step == 1 && from_step > 1) return kernel::integers_of(from).gather(from, from_step, count, to);
  if (from_step == 0 && to_step == 1)
    std::fill_n(to, count, *from);
  else
    for (int64_t k = 0; k < count; ++k) to[k * to_step] = from[k * from_step];
}

// f(where in x, where in y) for every index of all axes but the last; of `elements` each.
template <class F>
void each_run(const StridedCopy& by, int64_t elements, const F& f) {
  constexpr int64_t kGrain = 1 << 14;
  const size_t last = by.sizes.size() - 1;
  int64_t runs = 1;
  for (size_t axis = 0; axis < last; ++axis) runs *= by.sizes[axis];
  parallel_for(runs, std::max<int64_t>(1, kGrain / std::max<int64_t>(elements, 1)), [&](int64_t begin, int64_t end) {
    // Where the first run starts; each next one by counting, as divisions take longer than a short run.
    std::vector<int64_t> index(last);
    int64_t from = by.from, to = by.to, rest = begin;
    for (size_t axis = last; axis-- > 0;) {
      index[axis] = rest % by.sizes[axis];
      rest /= by.sizes[axis];
      from += index[axis] * by.from_strides[axis];
      to += index[axis] * by.to_strides[axis];
    }
    if (last == 0) return f(from, to);
    const size_t inner = last - 1;
    const int64_t from_step = by.from_strides[inner], to_step = by.to_strides[inner];
    for (int64_t i = begin; i < end;) {
      const int64_t count = std::min(end - i, by.sizes[inner] - index[inner]);
      for (int64_t k = 0; k < count; ++k) f(from + k * from_step, to + k * to_step);
      i += count;
      from -= index[inner] * from_step;
      to -= index[inner] * to_step;
      index[inner] = 0;
      for (size_t axis = inner; axis-- > 0;) {
        from += by.from_strides[axis];
        to += by.to_strides[axis];
        if (++index[axis] < by.sizes[axis]) break;
        from -= index[axis] * by.from_strides[axis];
        to -= index[axis] * by.to_strides[axis];
        index[axis] = 0;
      }
    }
  });
}

template <class T>
void copy(const StridedCopy& by, const T* x, T* y) {
  const size_t last = by.sizes.size() - 1;
  const int64_t run = by.sizes[last], from_step = by.from_strides[last], to_step = by.to_strides[last];
  StridedCopy rows = by;
  int64_t all = run;
  if (last > 0 && to_step == 1 && by.from_strides[last - 1] == 0 && by.to_strides[last - 1] == run) {
    // One run over and over: the first, then by doubling.
    all *= by.sizes[last - 1];
    for (auto* of : {&rows.sizes, &rows.from_strides, &rows.to_strides}) of->erase(of->end() - 2);
  }
  each_run(rows, all, [&](int64_t from, int64_t to) {
    copy_run(x + from, from_step, y + to, to_step, run);
    for (int64_t done = run; done < all; done *= 2) std::copy_n(y + to, std::min(done, all - done), y + to + done);
  });
}

}  // namespace

void copy_strided(const StridedCopy& by, const Tensor& x, Tensor& y) {
  if (std::any_of(by.sizes.begin(), by.sizes.end(), [](int64_t size) { return size == 0; })) return;
  const StridedCopy fewer = merged(by);
  switch (x.dtype()) {
    case DType::int8:
      return copy(fewer, x.data<int8_t>(), y.mutable_data<int8_t>());
    case DType::int16:
      return copy(fewer, x.data<int16_t>(), y.mutable_data<int16_t>());
    case DType::float32:
      return copy(fewer, x.data<float>(), y.mutable_data<float>());
    default:
      fail("copy of ", x.dtype(), ", expected int8, int16 or float32");
  }
}

std::vector<int64_t> strides_of(const Shape& shape) {
  std::vector<int64_t> strides(static_cast<size_t>(shape.rank()), 1);
  for (int axis = shape.rank() - 1; axis-- > 0;) strides[axis] = strides[axis + 1] * shape[axis + 1];
  return strides;
}

Tensor expanded(const Tensor& x, const Shape& shape) {
  if (x.shape() == shape) return x;
  StridedCopy by{{shape.begin(), shape.end()}, strides_of(x.shape()), strides_of(shape)};
  for (int axis = 0; axis < shape.rank(); ++axis)
    if (x.size(axis) == 1) by.from_strides[axis] = 0;
  Tensor y = Tensor::empty(shape, x.dtype());
  copy_strided(by, x, y);
  return y;
}

}  // namespace sinter::quant
