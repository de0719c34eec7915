#include "conv2d_batch_norm.h"

#include "../convolution_slices.h"
#include "batch_norm_parts.h"
#include "conv2d_geometry.h"

namespace sinter::ops {

namespace {

using Slices = onednn::ConvolutionSlices;

enum Input { kX, kFilter, kWeight, kBias, kMean, kVar, kSkip };

// f(block) for the blocks of a slice's images.
template <class F>
void for_blocks(const Blocks& blocks, const Slices& slices, int64_t slice, int64_t image_rows, const F& f) {
  const int64_t first = slices.first(slice), end = blocks.at_row((first + slices.images(slice)) * image_rows);
  for (int64_t block = blocks.at_row(first * image_rows); block < end; ++block) f(block);
}

}  // namespace

Specs Conv2dBatchNorm::infer(std::span<const Spec> x) const {
  check(x.size() == 6 || x.size() == 7, "conv2d_batch_norm: got ", x.size(),
        " inputs, expected input, convolution's weight, weight, bias, running mean and variance, and perhaps a tensor "
        "to add");
  Specs rest = Conv2d(attributes.conv()).infer(x.first(2));
  rest.insert(rest.end(), x.begin() + kWeight, x.end());
  return BatchNorm(attributes.batch_norm()).infer(rest);
}

void Conv2dBatchNorm::forward(Inputs x, Outputs y, Context& context) const {
  const Shape& shape = y[0].shape();
  const Blocks blocks(shape);
  const bool by_batch = probed(context) || of_batch(context, attributes.frozen);
  if (by_batch) check_batch(shape);
  if (y[0].elements() == 0) return;
  const Slices slices(onednn::Kind::forward, geometry(attributes.conv(), x[kX].shape(), x[kFilter].shape(), shape),
                      x[kFilter], {});
  const int64_t image_rows = shape[1] * shape[2], out_image = image_rows * shape[3];
  const int64_t in_image = x[kX].elements() / shape[0];
  const float* in = x[kX].data<float>();
  const float* skip = x.size() == 7 ? x[kSkip].data<float>() : nullptr;
  float* out = y[0].mutable_data<float>();

  // The convolution's result is only kept for backward; otherwise it becomes the output in place.
  Tensor result = context.recording() ? Tensor::empty(shape) : y[0];
  float* convolved = result.mutable_data<float>();
  const auto convolve = [&](int64_t slice, int64_t image) {
    slices.forward(slice, in + image * in_image, convolved + image * out_image);
  };
  const Activation activation = activation_named(attributes.activation);
  Statistics s;
  if (by_batch) {
    BatchStatistics batch(blocks);
    slices.for_each([&](int64_t slice, int64_t image) {
      convolve(slice, image);
      for_blocks(blocks, slices, slice, image_rows, [&](int64_t block) { batch.add(convolved, block); });
    });
    s = batch.merged(attributes.momentum, x[kMean], x[kVar]);
  } else {
    s = {doubles(x[kMean]), doubles(x[kVar])};
  }
  const Normalization normalization(blocks, s, attributes.eps, x[kWeight], x[kBias]);
  const auto normalize = [&](int64_t block) { normalization.apply(convolved, skip, activation, block, out); };
  if (by_batch) {
    blocks.for_each(normalize);
  } else {
    slices.for_each([&](int64_t slice, int64_t image) {
      convolve(slice, image);
      for_blocks(blocks, slices, slice, image_rows, normalize);
    });
  }

  if (!context.recording()) return;
  context.keep(x[kX]);
  context.keep(x[kFilter]);
  NormalizationGradient::keep(context, result, x[kWeight], s, normalization, activation, skip != nullptr, y[0]);
}

void Conv2dBatchNorm::backward(const Context& context, Outputs dy, Gradients& dx) const {
  const Shape& shape = dy[0].shape();
  if (dy[0].elements() == 0) return zero_gradients(context, dx);
  const Tensor x = context.kept(0), filter = context.kept(1);
  const Blocks blocks(shape);
  NormalizationGradient gradient(blocks, context, 2, activation_named(attributes.activation), dx.size() == 7);
  const float* g = dy[0].data<float>();
  blocks.for_each([&](int64_t block) { gradient.add(g, block); });
  gradient.merge(of_batch(context, attributes.frozen));

  gradient.set(dx, kWeight);

  const bool skips = dx.size() == 7 && dx.wanted(kSkip);
  Tensor dskip = skips ? reuse_or_empty(dy[0]) : Tensor();
  float* to_skip = skips ? dskip.mutable_data<float>() : nullptr;
  const auto c = geometry(attributes.conv(), x.shape(), filter.shape(), shape);
  const Slices data(onednn::Kind::backward_data, c, filter, {});
  Slices weights(onednn::Kind::backward_weights, c, filter, {});
  const int64_t image_rows = shape[1] * shape[2], out_image = image_rows * shape[3];
  const int64_t in_image = x.elements() / shape[0];
  float* to = dx.wanted(kX) ? dx.create(kX).mutable_data<float>() : nullptr;
  weights.for_each([&](int64_t slice, int64_t image) {
    const int64_t origin = image * out_image;
    Tensor part = Tensor::empty({weights.images(slice), shape[1], shape[2], shape[3]});
    float* dconvolved = part.mutable_data<float>();
    for_blocks(blocks, weights, slice, image_rows,
               [&](int64_t block) { gradient.apply(g, block, dconvolved, to_skip, origin); });
    if (dx.wanted(kFilter)) weights.backward_weights(slice, x.data<float>() + image * in_image, dconvolved);
    if (to != nullptr) data.backward_data(slice, dconvolved, to + image * in_image);
  });
  if (dx.wanted(kFilter)) {
    Tensor none;
    weights.finish(dx.create(kFilter), none);
  }
  if (skips) dx.set(kSkip, std::move(dskip));
}

int64_t Conv2dBatchNorm::macs(std::span<const Spec> x) const { return Conv2d(attributes.conv()).macs(x.first(2)); }

}  // namespace sinter::ops
