#include "batch_norm.h"

#include "batch_norm_parts.h"
#include "channels_last.h"
#include "elementwise.h"

namespace sinter::ops {

namespace {

enum Input { kX, kWeight, kBias, kMean, kVar, kSkip };

}  // namespace

Specs BatchNorm::infer(std::span<const Spec> x) const {
  check(x.size() == 5 || x.size() == 6, "batch_norm: got ", x.size(),
        " inputs, expected input, weight, bias, running mean and variance, and perhaps a tensor to add");
  expect_float("batch_norm", x, x.size());
  const Shape& shape = x[kX].shape;
  activation_named(attributes.activation);
  check(shape.rank() >= 2, "batch_norm: input is ", shape, ", expected [...,C]");
  constexpr const char* kNames[] = {"", "weight", "bias", "running mean", "running variance"};
  for (int i = kWeight; i <= kVar; ++i)
    check(x[i].shape == Shape{shape[-1]}, "batch_norm: ", kNames[i], " is ", x[i].shape, ", input ", shape, " has ",
          shape[-1], " channels, expected [", shape[-1], "]",
          x[i].shape.rank() == 1 ? nchw_hint(shape, x[i].shape[0]) : std::string());
  if (x.size() == 6)
    check(x[kSkip].shape == shape, "batch_norm: tensor to add is ", x[kSkip].shape, ", input is ", shape);
  return {x[kX]};
}

void BatchNorm::forward(Inputs x, Outputs y, Context& context) const {
  const Blocks blocks(x[kX].shape());
  const float* in = x[kX].data<float>();
  Statistics s;
  if (probed(context) || of_batch(context, attributes.frozen)) {
    check_batch(x[kX].shape());
    BatchStatistics batch(blocks);
    blocks.for_each([&](int64_t block) { batch.add(in, block); });
    s = batch.merged(attributes.momentum, x[kMean], x[kVar]);
  } else {
    s = {doubles(x[kMean]), doubles(x[kVar])};
  }
  const Normalization normalization(blocks, s, attributes.eps, x[kWeight], x[kBias]);
  const Activation activation = activation_named(attributes.activation);
  const float* skip = x.size() == 6 ? x[kSkip].data<float>() : nullptr;
  float* out = y[0].mutable_data<float>();
  blocks.for_each([&](int64_t block) { normalization.apply(in, skip, activation, block, out); });

  if (context.recording())
    NormalizationGradient::keep(context, x[kX], x[kWeight], s, normalization, activation, skip != nullptr, y[0]);
}

void BatchNorm::backward(const Context& context, Outputs dy, Gradients& dx) const {
  const Shape& shape = context.input(kX).shape;
  const Blocks blocks(shape);
  NormalizationGradient gradient(blocks, context, 0, activation_named(attributes.activation), dx.size() == 6);
  const float* g = dy[0].data<float>();
  blocks.for_each([&](int64_t block) { gradient.add(g, block); });
  gradient.merge(of_batch(context, attributes.frozen));

  gradient.set(dx, kWeight);
  const bool skips = dx.size() == 6 && dx.wanted(kSkip);
  if (!dx.wanted(kX) && !skips) return;
  Tensor result = skips ? Tensor::empty(shape) : reuse_or_empty(dy[0]);
  Tensor dskip = skips ? reuse_or_empty(dy[0]) : Tensor();
  float* to = result.mutable_data<float>();
  float* to_skip = skips ? dskip.mutable_data<float>() : nullptr;
  blocks.for_each([&](int64_t block) { gradient.apply(g, block, to, to_skip); });
  if (dx.wanted(kX)) dx.set(kX, std::move(result));
  if (skips) dx.set(kSkip, std::move(dskip));
}

}  // namespace sinter::ops

sinter::Tensor sinter::batch_norm(const Tensor& x, const Tensor& weight, const Tensor& bias, const Tensor& running_mean,
                                  const Tensor& running_var, const BatchNormAttributes& attributes) {
  return call(ops::BatchNorm{attributes}, x, weight, bias, running_mean, running_var);
}
