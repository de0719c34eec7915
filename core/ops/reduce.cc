#include "reduce.h"

#include <cmath>
#include <limits>

#include "broadcast.h"
#include "reduction.h"

namespace sinter {

namespace ops {

namespace {

AxisMask mask_of(std::string_view op, const ReduceAttributes& a, int rank) {
  AxisMask mask{};
  if (a.axes.empty()) std::fill(mask.begin(), mask.begin() + rank, true);
  for (const int64_t axis : a.axes) {
    bool& reduced = mask[normalize_axis(axis, rank, op.data())];
    check(!reduced, op, ": axis ", axis, " is named twice");
    reduced = true;
  }
  return mask;
}

// The result's shape with, or without, the reduced axes.
Shape reduced_shape(const Shape& x, const AxisMask& mask, bool keep) {
  std::array<int64_t, Shape::kMaxRank> sizes{};
  size_t rank = 0;
  for (int axis = 0; axis < x.rank(); ++axis)
    if (!mask[axis])
      sizes[rank++] = x[axis];
    else if (keep)
      sizes[rank++] = 1;
  return Shape(std::span<const int64_t>(sizes.data(), rank));
}

void sum_into(std::string_view op, const ReduceAttributes& a, const Tensor& x, Tensor& y) {
  reduce(
      x, mask_of(op, a, x.rank()), 0.0, [](double s, double v) { return s + v; }, y);
}

// The result's gradient times `factor` at every element that was reduced.
void expand(std::string_view op, const ReduceAttributes& a, const Tensor& dy, float factor, Tensor& dx) {
  const Shape kept = reduced_shape(dx.shape(), mask_of(op, a, dx.rank()), true);
  broadcast_map(dy, kept, dy, kept, dx, [factor](float g, float) { return g * factor; });
}

}  // namespace

Specs Reduce::infer(std::span<const Spec> x) const {
  expect_float(name(), x, 1);
  return {{DType::float32, reduced_shape(x[0].shape, mask_of(name(), attributes, x[0].shape.rank()), attributes.keep)}};
}

void Sum::forward(Inputs x, Outputs y, Context&) const { sum_into(name(), attributes, x[0], y[0]); }

void Sum::backward(const Context&, Outputs dy, Gradients& dx) const {
  expand(name(), attributes, dy[0], 1, dx.create(0));
}

void Mean::forward(Inputs x, Outputs y, Context&) const {
  sum_into(name(), attributes, x[0], y[0]);
  const double count = static_cast<double>(x[0].elements()) / static_cast<double>(y[0].elements());
  map(y[0], y[0], [count](float s) { return static_cast<float>(s / count); });
}

void Mean::backward(const Context& context, Outputs dy, Gradients& dx) const {
  const double count = static_cast<double>(context.input(0).shape.elements()) / static_cast<double>(dy[0].elements());
  expand(name(), attributes, dy[0], static_cast<float>(1 / count), dx.create(0));
}

namespace {

void expect_some(std::string_view op, const Shape& x, const Shape& y) {
  check(x.elements() > 0 || y.elements() == 0, op, ": input is ", x, ", expected at least one element to choose from");
}

// Equal ones share the gradient.
void backward_of_chosen(std::string_view op, const ReduceAttributes& a, const Context& context, const Tensor& dy,
                        Gradients& dx) {
  const Tensor x = context.kept(0), y = context.kept(1);
  const AxisMask mask = mask_of(op, a, x.rank());
  const Shape kept = reduced_shape(x.shape(), mask, true);
  Tensor hit = Tensor::empty(x.shape()), count = Tensor::empty(y.shape());
  broadcast_map(x, x.shape(), y, kept, hit, [](float v, float chosen) { return v == chosen ? 1.0f : 0.0f; });
  reduce(
      hit, mask, 0.0, [](double s, double v) { return s + v; }, count);
  map(dy, count, count, [](float g, float n) { return g / n; });
  broadcast_map(hit, hit.shape(), count, kept, dx.create(0), [](float h, float g) { return h > 0 ? g : 0.0f; });
}

constexpr float kInfinity = std::numeric_limits<float>::infinity();

}  // namespace

Specs Max::infer(std::span<const Spec> x) const {
  Specs y = Reduce::infer(x);
  expect_some(name(), x[0].shape, y[0].shape);
  return y;
}

void Max::forward(Inputs x, Outputs y, Context& context) const {
  reduce(
      x[0], mask_of(name(), attributes, x[0].rank()), -kInfinity,
      [](float a, float b) { return b > a || b != b ? b : a; }, y[0]);
  context.keep(x[0]);
  context.keep(y[0]);
}

void Max::backward(const Context& context, Outputs dy, Gradients& dx) const {
  backward_of_chosen(name(), attributes, context, dy[0], dx);
}

Specs Min::infer(std::span<const Spec> x) const {
  Specs y = Reduce::infer(x);
  expect_some(name(), x[0].shape, y[0].shape);
  return y;
}

void Min::forward(Inputs x, Outputs y, Context& context) const {
  reduce(
      x[0], mask_of(name(), attributes, x[0].rank()), kInfinity,
      [](float a, float b) { return b < a || b != b ? b : a; }, y[0]);
  context.keep(x[0]);
  context.keep(y[0]);
}

void Min::backward(const Context& context, Outputs dy, Gradients& dx) const {
  backward_of_chosen(name(), attributes, context, dy[0], dx);
}

}  // namespace ops

Tensor sum(const Tensor& x, std::vector<int64_t> axes, bool keep) { return call(ops::Sum{{std::move(axes), keep}}, x); }
Tensor mean(const Tensor& x, std::vector<int64_t> axes, bool keep) {
  return call(ops::Mean{{std::move(axes), keep}}, x);
}
Tensor max(const Tensor& x, std::vector<int64_t> axes, bool keep) { return call(ops::Max{{std::move(axes), keep}}, x); }
Tensor min(const Tensor& x, std::vector<int64_t> axes, bool keep) { return call(ops::Min{{std::move(axes), keep}}, x); }

}  // namespace sinter
