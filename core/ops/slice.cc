#include "slice.h"

#include <algorithm>
#include <numeric>

#include "../autograd.h"
#include "runs.h"

namespace sinter {

namespace ops {

namespace {

// The slice in an axis of some size, begin and end counted from its start.
struct Range {
  int axis;
  int64_t begin, end;

  Range(const SliceAttributes& a, const Shape& x) : axis(normalize_axis(a.axis, x.rank(), "slice")) {
    const int64_t size = x[axis];
    begin = a.begin < 0 ? a.begin + size : a.begin;
    end = a.end == SliceAttributes{}.end ? size : a.end < 0 ? a.end + size : a.end;
    check(begin >= 0 && begin <= end && end <= size, "slice: input is ", x, ", begin ", a.begin, " and end ", a.end,
          " are no range of axis ", axis);
  }
};

// f(bytes from the start of x, of y, length): what lies together in both, in every index of the axes before.
template <class F>
void each_piece(const SliceAttributes& a, const Spec& x, const Spec& y, const F& f) {
  const Range range(a, x.shape);
  const int64_t index = run_bytes(x, range.axis + 1), taken = y.shape[range.axis];
  if (a.step == 1) return f(range.begin * index, 0, taken * index);
  for (int64_t i = 0; i < taken; ++i) f((range.begin + i * a.step) * index, i * index, index);
}

}  // namespace

Slice::Slice(const SliceAttributes& a) : OpWith(a) {
  check(a.step >= 1, "slice: step is ", a.step, ", expected at least 1");
}

Specs Slice::infer(std::span<const Spec> x) const {
  check(x.size() == 1, "slice: got ", x.size(), " inputs, expected 1");
  const Range range(attributes, x[0].shape);
  const int64_t taken = range.begin == range.end ? 0 : (range.end - range.begin - 1) / attributes.step + 1;
  return {{x[0].dtype, x[0].shape.with(range.axis, taken)}};
}

void Slice::forward(Inputs x, Outputs y, Context&) const {
  const int axis = normalize_axis(attributes.axis, x[0].rank(), "slice");
  const int64_t step = run_bytes(x[0].spec(), axis), taken = run_bytes(y[0].spec(), axis);
  const std::byte* in = detail::Access::storage(x[0])->data();
  std::byte* out = detail::Access::storage(y[0])->data();
  each_piece(attributes, x[0].spec(), y[0].spec(), [&](int64_t from, int64_t to, int64_t bytes) {
    copy_runs(in + from, step, out + to, taken, bytes, runs(x[0].shape(), axis));
  });
}

void Slice::backward(const Context& context, Outputs dy, Gradients& dx) const {
  const Spec x{DType::float32, context.input(0).shape};
  const int axis = normalize_axis(attributes.axis, x.shape.rank(), "slice");
  const int64_t step = run_bytes(x, axis), taken = run_bytes(dy[0].spec(), axis);
  Tensor result = Tensor::zeros(x.shape);
  const std::byte* in = detail::Access::storage(dy[0])->data();
  std::byte* out = detail::Access::storage(result)->data();
  each_piece(attributes, x, dy[0].spec(), [&](int64_t to, int64_t from, int64_t bytes) {
    copy_runs(in + from, taken, out + to, step, bytes, runs(x.shape, axis));
  });
  dx.set(0, std::move(result));
}

}  // namespace ops

Tensor slice(const Tensor& x, const SliceAttributes& attributes) { return call(ops::Slice{attributes}, x); }

std::vector<Tensor> split(const Tensor& x, const SplitOptions& o) {
  const int64_t size = x.size(normalize_axis(o.axis, x.rank(), "split"));
  check((o.count != 0) != !o.sizes.empty(), "split: it needs a count or sizes, and not both");
  check(o.count >= 0 && (o.count == 0 || size % o.count == 0), "split: input is ", x.shape(), ", whose axis ", o.axis,
        " has no ", o.count, " equal parts");
  const std::vector<int64_t> sizes =
      o.count == 0 ? o.sizes : std::vector<int64_t>(static_cast<size_t>(o.count), size / o.count);
  check(std::all_of(sizes.begin(), sizes.end(), [](int64_t s) { return s >= 0; }) &&
            std::accumulate(sizes.begin(), sizes.end(), int64_t{0}) == size,
        "split: input is ", x.shape(), ", ", Field{"sizes", sizes}, " do not add up to axis ", o.axis);
  std::vector<Tensor> parts;
  int64_t begin = 0;
  for (const int64_t part : sizes) {
    parts.push_back(slice(x, {.axis = o.axis, .begin = begin, .end = begin + part}));
    begin += part;
  }
  return parts;
}

}  // namespace sinter
