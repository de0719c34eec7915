#include "permute.h"

#include <algorithm>
#include <numeric>

#include "../autograd.h"
#include "../parallel.h"

namespace sinter {

namespace ops {

namespace {

std::vector<int64_t> order_of(const PermuteAttributes& a, const Shape& x) {
  const auto rank = static_cast<size_t>(x.rank());
  std::vector<int64_t> order = a.axes;
  std::vector<bool> named(rank);
  check(order.size() == rank, "permute: input is ", x, ", ", Field{"axes", a.axes}, " are not all of its axes");
  for (int64_t& axis : order) {
    axis = normalize_axis(axis, x.rank(), "permute");
    check(!named[static_cast<size_t>(axis)], "permute: input is ", x, ", ", Field{"axes", a.axes},
          " names an axis twice");
    named[static_cast<size_t>(axis)] = true;
  }
  return order;
}

struct Axis {
  int64_t size, from, to;  // steps in the input and in the result
};

// The result's axes, without those of one element, neighbours of both sides as one.
std::vector<Axis> axes_of(const Shape& x, const std::vector<int64_t>& order) {
  std::vector<int64_t> steps(order.size());
  int64_t step = 1;
  for (int axis = x.rank() - 1; axis >= 0; --axis) {
    steps[static_cast<size_t>(axis)] = step;
    step *= x[axis];
  }
  std::vector<Axis> axes;
  for (const int64_t axis : order) {
    const Axis next{x[static_cast<int>(axis)], steps[static_cast<size_t>(axis)], 0};
    if (next.size == 1) continue;
    if (!axes.empty() && axes.back().from == next.from * next.size)
      axes.back() = {axes.back().size * next.size, next.from, 0};
    else
      axes.push_back(next);
  }
  if (axes.empty()) axes.push_back({1, 1, 0});
  step = 1;
  for (size_t i = axes.size(); i-- > 0; step *= axes[i].size) axes[i].to = step;
  return axes;
}

template <class T>
void copy(const T* in, std::vector<Axis> axes, T* out) {
  constexpr int64_t kTile = 16, kGrain = 1 << 14;
  const Axis last = axes.back();
  axes.pop_back();
  // What lies together in the input, beside what lies together in the result.
  Axis row{1, 1, 1};
  if (last.from != 1) {
    const auto found = std::find_if(axes.begin(), axes.end(), [](const Axis& axis) { return axis.from == 1; });
    row = *found;
    axes.erase(found);
  }
  int64_t outer = 1;
  for (const Axis& axis : axes) outer *= axis.size;
  const int64_t tiles = (row.size + kTile - 1) / kTile;
  const int64_t cost = std::min(row.size, kTile) * last.size;
  parallel_for(outer * tiles, std::max<int64_t>(1, kGrain / cost), [&](int64_t begin, int64_t end) {
    for (int64_t task = begin; task < end; ++task) {
      const T* from = in;
      T* to = out;
      int64_t rest = task / tiles;
      for (size_t i = axes.size(); i-- > 0; rest /= axes[i].size) {
        from += rest % axes[i].size * axes[i].from;
        to += rest % axes[i].size * axes[i].to;
      }
      if (last.from == 1) {
        std::copy_n(from, last.size, to);
        continue;
      }
      const int64_t first = task % tiles * kTile, stop = std::min(first + kTile, row.size);
      for (int64_t left = 0; left < last.size; left += kTile)
        for (int64_t i = first; i < stop; ++i)
          for (int64_t j = left; j < std::min(left + kTile, last.size); ++j)
            to[i * row.to + j] = from[i + j * last.from];
    }
  });
}

void permute_into(const Tensor& x, const std::vector<int64_t>& order, const Tensor& y) {
  if (x.elements() == 0) return;
  const std::vector<Axis> axes = axes_of(x.shape(), order);
  const void* in = detail::Access::storage(x)->data();
  void* out = detail::Access::storage(y)->data();
  const auto as = [&](auto zero) {
    using T = decltype(zero);
    copy(static_cast<const T*>(in), axes, static_cast<T*>(out));
  };
  switch (size_of(x.dtype())) {
    case 1:
      return as(uint8_t{});
    case 2:
      return as(uint16_t{});
    case 4:
      return as(uint32_t{});
    default:
      as(uint64_t{});
  }
}

}  // namespace

Specs Permute::infer(std::span<const Spec> x) const {
  check(x.size() == 1, "permute: got ", x.size(), " inputs, expected 1");
  std::vector<int64_t> sizes;
  for (const int64_t axis : order_of(attributes, x[0].shape)) sizes.push_back(x[0].shape[static_cast<int>(axis)]);
  return {{x[0].dtype, Shape(sizes)}};
}

void Permute::forward(Inputs x, Outputs y, Context&) const {
  permute_into(x[0], order_of(attributes, x[0].shape()), y[0]);
}

void Permute::backward(const Context& context, Outputs dy, Gradients& dx) const {
  const std::vector<int64_t> order = order_of(attributes, context.input(0).shape);
  std::vector<int64_t> inverse(order.size());
  for (size_t i = 0; i < order.size(); ++i) inverse[static_cast<size_t>(order[i])] = static_cast<int64_t>(i);
  permute_into(dy[0], inverse, dx.create(0));
}

}  // namespace ops

Tensor permute(const Tensor& x, std::vector<int64_t> axes) { return call(ops::Permute{{std::move(axes)}}, x); }

Tensor transpose(const Tensor& x, const AxisPair& axes) {
  std::vector<int64_t> order(static_cast<size_t>(x.rank()));
  std::iota(order.begin(), order.end(), 0);
  std::swap(order[static_cast<size_t>(normalize_axis(axes.first, x.rank(), "transpose"))],
            order[static_cast<size_t>(normalize_axis(axes.second, x.rank(), "transpose"))]);
  return permute(x, std::move(order));
}

}  // namespace sinter
