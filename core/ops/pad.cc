#include "pad.h"

#include <algorithm>

#include "elementwise.h"

namespace sinter {

namespace ops {

namespace {

// What lies together in both tensors: all of the last padded axis and of those behind it.
struct Runs {
  int64_t count = 1, length = 1;
  std::vector<int64_t> sizes, padded_sizes, before;  // of the axes in front of a run
  int64_t padded_length = 1, first = 0;              // of a run in the padded tensor

  Runs(const PadAttributes& a, const Shape& x, const Shape& y) {
    int last = x.rank();
    while (last > 0 && x[last - 1] == y[last - 1]) --last;
    int64_t inner = 1;
    for (int axis = last; axis < x.rank(); ++axis) inner *= x[axis];
    const auto added = [&a](int axis) { return a.before.empty() ? 0 : a.before[static_cast<size_t>(axis)]; };
    length = padded_length = inner;
    if (last == 0) return;
    length *= x[last - 1];
    padded_length *= y[last - 1];
    first = added(last - 1) * inner;
    for (int axis = 0; axis + 1 < last; ++axis) {
      sizes.push_back(x[axis]);
      padded_sizes.push_back(y[axis]);
      before.push_back(added(axis));
      count *= x[axis];
    }
  }

  /// Of a run's first element in the padded tensor.
  int64_t padded_offset(int64_t run) const {
    int64_t offset = 0, stride = padded_length;
    for (size_t i = sizes.size(); i-- > 0;) {
      offset += (run % sizes[i] + before[i]) * stride;
      run /= sizes[i];
      stride *= padded_sizes[i];
    }
    return offset + first;
  }

  template <class F>
  void each(const F& f) const {
    if (length == 0) return;
    parallel_for(count, std::max<int64_t>(1, kElementwiseGrain / length), [&](int64_t begin, int64_t end) {
      for (int64_t run = begin; run < end; ++run) f(run * length, padded_offset(run));
    });
  }
};

}  // namespace

Specs Pad::infer(std::span<const Spec> x) const {
  expect_float("pad", x, 1);
  Shape shape = x[0].shape;
  for (const auto* sizes : {&attributes.before, &attributes.after}) {
    const Field given{sizes == &attributes.before ? "before" : "after", *sizes};
    check(sizes->empty() || static_cast<int>(sizes->size()) == shape.rank(), "pad: input is ", x[0].shape, ", ", given,
          ", expected one number an axis");
    for (size_t axis = 0; axis < sizes->size(); ++axis) {
      check((*sizes)[axis] >= 0, "pad: ", given, ", expected at least 0");
      shape = shape.with(static_cast<int>(axis), shape[static_cast<int>(axis)] + (*sizes)[axis]);
    }
  }
  return {{DType::float32, shape}};
}

void Pad::forward(Inputs x, Outputs y, Context&) const {
  const Runs runs(attributes, x[0].shape(), y[0].shape());
  const float* in = x[0].data<float>();
  float* out = y[0].mutable_data<float>();
  map(y[0], y[0], [value = static_cast<float>(attributes.value)](float) { return value; });
  runs.each([&](int64_t from, int64_t to) { std::copy_n(in + from, runs.length, out + to); });
}

void Pad::backward(const Context& context, Outputs dy, Gradients& dx) const {
  const Runs runs(attributes, context.input(0).shape, dy[0].shape());
  const float* in = dy[0].data<float>();
  float* out = dx.create(0).mutable_data<float>();
  runs.each([&](int64_t to, int64_t from) { std::copy_n(in + from, runs.length, out + to); });
}

}  // namespace ops

Tensor pad(const Tensor& x, const PadAttributes& attributes) { return call(ops::Pad{attributes}, x); }

}  // namespace sinter
