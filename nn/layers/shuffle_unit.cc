#include "shuffle_unit.h"

#include "../../core/ops/concat.h"
#include "../../core/ops/relu.h"
#include "../../core/ops/slice.h"

namespace sinter::nn {

namespace {

bool keeps_shape(const ShuffleUnitOptions& o) { return o.stride == 1 && o.in == o.out; }

int64_t half(const ShuffleUnitOptions& o) {
  check(o.out % 2 == 0, "ShuffleUnit: it has ", o.out.value(), " output channels, expected an even number");
  return o.out / 2;
}

Conv2dOptions depthwise_options(int64_t channels, int64_t stride) {
  return {
      .in = channels, .out = channels, .kernel = 3, .stride = stride, .padding = 1, .groups = channels, .bias = false};
}

}  // namespace

ShuffleUnit::ShuffleUnit(ShuffleUnitOptions o)
    : first({.in = keeps_shape(o) ? half(o) : o.in.value(), .out = half(o), .kernel = 1, .bias = false}),
      first_bn(half(o)),
      depthwise(depthwise_options(half(o), o.stride)),
      depthwise_bn(half(o)),
      last({.in = half(o), .out = half(o), .kernel = 1, .bias = false}),
      last_bn(half(o)) {
  if (keeps_shape(o)) return;
  shortcut_depthwise.emplace(depthwise_options(o.in, o.stride));
  shortcut_depthwise_bn.emplace(o.in);
  shortcut.emplace(Conv2dOptions{.in = o.in, .out = half(o), .kernel = 1, .bias = false});
  shortcut_bn.emplace(half(o));
}

Tensor ShuffleUnit::forward(const Tensor& x) const {
  Tensor other = x, y = x;
  if (shortcut) {
    other = relu((*shortcut_bn)((*shortcut)((*shortcut_depthwise_bn)((*shortcut_depthwise)(x)))));
  } else {
    const auto halves = split(x, {.count = 2});
    other = halves[0];
    y = halves[1];
  }
  y = relu(first_bn(first(y)));
  y = depthwise_bn(depthwise(y));
  return shuffle(concat({other, relu(last_bn(last(y)))}));
}

}  // namespace sinter::nn
