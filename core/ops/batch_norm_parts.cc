#include "batch_norm_parts.h"

#include <cmath>

#include "batch_norm_probe.h"

namespace sinter::ops {

Blocks::Blocks(const Shape& shape)
    : channels(shape[-1]),
      rows(channels == 0 ? 0 : shape.elements() / channels),
      repeat(std::max<int64_t>(1, kPeriod / std::max<int64_t>(channels, 1))),
      period(repeat * channels) {
  const int64_t image_rows = std::max<int64_t>(1, shape[0] == 0 ? 0 : rows / shape[0]);
  const int64_t image = std::max<int64_t>(1, image_rows * channels);
  const auto images = std::bit_floor(static_cast<uint64_t>(std::max<int64_t>(1, kFloats / image)));
  group_rows = static_cast<int64_t>(images) * image_rows;
  const int64_t parts = std::max<int64_t>(1, image / kFloats);
  rows_per_block = (group_rows + parts - 1) / parts;
  if (parts > 1) rows_per_block = (rows_per_block + repeat - 1) / repeat * repeat;
  group_blocks = (group_rows + rows_per_block - 1) / rows_per_block;
  count = (rows + group_rows - 1) / group_rows * group_blocks;
}

Tensor Blocks::spread(const std::vector<double>& values) const {
  Tensor result = Tensor::empty({period});
  float* out = result.mutable_data<float>();
  for (int64_t j = 0; j < period; j += channels)
    for (int64_t c = 0; c < channels; ++c) out[j + c] = static_cast<float>(values[c]);
  return result;
}

void Blocks::fold(const float* acc, double* out) const {
  for (int64_t c = 0; c < channels; ++c) out[c] = 0;
  for (int64_t j = 0; j < period; j += channels)
    for (int64_t c = 0; c < channels; ++c) out[c] += acc[j + c];
}

bool probed(const Context& context) {
  if (BatchNormProbe::active() == nullptr) return false;
  check(!context.recording(), "batch_norm: a BatchNormProbe is for passes without gradients; use NoGrad");
  return true;
}

void check_batch(const Shape& shape) {
  check(shape.elements() > shape[-1], "batch_norm: training on ", shape,
        " would divide by zero, expected more than one value a channel; where it is the last batch of an epoch, "
        ".drop_last = true (of fit and DataLoader) leaves it out");
}

std::vector<double> doubles(const Tensor& t) {
  const auto values = t.values<float>();
  return {values.begin(), values.end()};
}

Tensor floats(const std::vector<double>& values) {
  Tensor result = Tensor::empty({static_cast<int64_t>(values.size())});
  float* out = result.mutable_data<float>();
  for (size_t i = 0; i < values.size(); ++i) out[i] = static_cast<float>(values[i]);
  return result;
}

// The mean and the squares around it: two passes over what lies in cache.
void BatchStatistics::add(const float* x, int64_t block) {
  const auto& k = kernel::batch_norm_kernels();
  const int64_t channels = blocks_.channels;
  const auto rows = static_cast<double>(blocks_.rows_of(block));
  std::vector<float> acc(blocks_.period), mean(blocks_.period);
  double* block_mean = &partial_[2 * block * channels];
  blocks_.parts(block, [&](int64_t at, int64_t count, int64_t width) { k.sum(x + at, count, width, acc.data()); });
  blocks_.fold(acc.data(), block_mean);
  for (int64_t c = 0; c < channels; ++c) block_mean[c] = static_cast<float>(block_mean[c] / rows);
  for (int64_t j = 0; j < blocks_.period; j += channels)
    for (int64_t c = 0; c < channels; ++c) mean[j + c] = static_cast<float>(block_mean[c]);
  std::fill(acc.begin(), acc.end(), 0.0f);
  blocks_.parts(block, [&](int64_t at, int64_t count, int64_t width) {
    k.sum_squares(x + at, mean.data(), count, width, acc.data());
  });
  blocks_.fold(acc.data(), block_mean + channels);
}

// Blocks merge in double (Chan, Golub & LeVeque 1979).
Statistics BatchStatistics::merged() const {
  const int64_t channels = blocks_.channels;
  Statistics result{std::vector<double>(channels), std::vector<double>(channels)};
  double seen = 0;
  for (int64_t block = 0; block < blocks_.count; ++block) {
    const auto rows = static_cast<double>(blocks_.rows_of(block));
    if (rows == 0) continue;
    const double total = seen + rows;
    const double* block_mean = &partial_[2 * block * channels];
    for (int64_t c = 0; c < channels; ++c) {
      const double delta = block_mean[c] - result.mean[c];
      result.var[c] += block_mean[channels + c] + delta * delta * seen * rows / total;
      result.mean[c] += delta * rows / total;
    }
    seen = total;
  }
  for (double& v : result.var) v /= static_cast<double>(blocks_.rows);
  return result;
}

Statistics BatchStatistics::merged(double momentum, const Tensor& running_mean, const Tensor& running_var) const {
  Statistics s = merged();
  if (const BatchNormProbe* probe = BatchNormProbe::active()) {
    probe->show({running_mean, running_var, blocks_.rows, s.mean, s.var});
    return s;
  }
  float* mean = Tensor(running_mean).mutable_data<float>();
  float* var = Tensor(running_var).mutable_data<float>();
  const double unbias = static_cast<double>(blocks_.rows) / static_cast<double>(blocks_.rows - 1);
  for (int64_t c = 0; c < blocks_.channels; ++c) {
    mean[c] = static_cast<float>((1 - momentum) * mean[c] + momentum * s.mean[c]);
    var[c] = static_cast<float>((1 - momentum) * var[c] + momentum * s.var[c] * unbias);
  }
  return s;
}

Normalization::Normalization(const Blocks& blocks, const Statistics& s, double eps, const Tensor& weight,
                             const Tensor& bias)
    : blocks_(blocks), inverse_(blocks.channels) {
  const auto gamma = weight.values<float>(), beta = bias.values<float>();
  std::vector<double> scale(blocks.channels), shift(blocks.channels);
  for (int64_t c = 0; c < blocks.channels; ++c) {
    inverse_[c] = 1 / std::sqrt(s.var[c] + eps);
    scale[c] = gamma[c] * inverse_[c];
    shift[c] = beta[c] - s.mean[c] * scale[c];
  }
  scales_ = blocks.spread(scale);
  shifts_ = blocks.spread(shift);
}

void Normalization::apply(const float* x, const float* skip, Activation activation, int64_t block, float* y) const {
  const auto& k = kernel::batch_norm_kernels();
  const float ceiling = activation == Activation::none ? 0 : sinter::ceiling(activation);
  blocks_.parts(block, [&](int64_t at, int64_t count, int64_t width) {
    k.affine(x + at, scales_.data<float>(), shifts_.data<float>(), skip == nullptr ? nullptr : skip + at, ceiling,
             count, width, y + at);
  });
}

void NormalizationGradient::keep(Context& context, const Tensor& x, const Tensor& weight, const Statistics& s,
                                 const Normalization& normalization, Activation activation, bool skips,
                                 const Tensor& y) {
  context.keep(x);
  context.keep(weight);
  context.keep(floats(s.mean));
  context.keep(floats(normalization.inverse()));
  if (activation == Activation::none) return;
  if (skips) return context.keep(y);
  context.keep(normalization.scales());
  context.keep(normalization.shifts());
}

NormalizationGradient::NormalizationGradient(const Blocks& blocks, const Context& context, size_t first,
                                             Activation activation, bool skips)
    : blocks_(blocks),
      ceiling_(ceiling(activation)),
      x_(context.kept(first)),
      weight_(context.kept(first + 1)),
      mean_(doubles(context.kept(first + 2))),
      inverse_(doubles(context.kept(first + 3))),
      partial_(2 * blocks.count * blocks.channels),
      sum_(blocks.channels),
      sum_x_(blocks.channels),
      means_(blocks.spread(mean_)) {
  if (activation == Activation::none) return;
  if (skips) {
    y_ = context.kept(first + 4);
    return;
  }
  mask_scales_ = context.kept(first + 4);
  mask_shifts_ = context.kept(first + 5);
}

kernel::ActivationMask NormalizationGradient::mask(int64_t at) const {
  kernel::ActivationMask mask;
  mask.ceiling = ceiling_;
  if (y_.defined()) mask.y = y_.data<float>() + at;
  if (mask_scales_.defined()) {
    mask.scale = mask_scales_.data<float>();
    mask.shift = mask_shifts_.data<float>();
  }
  return mask;
}

void NormalizationGradient::add(const float* dy, int64_t block) {
  const auto& k = kernel::batch_norm_kernels();
  std::vector<float> acc(2 * blocks_.period);
  const float* x = x_.data<float>();
  blocks_.parts(block, [&](int64_t at, int64_t count, int64_t width) {
    k.gradient_sums(dy + at, mask(at), x + at, means_.data<float>(), count, width, acc.data(),
                    acc.data() + blocks_.period);
  });
  blocks_.fold(acc.data(), &partial_[2 * block * blocks_.channels]);
  blocks_.fold(acc.data() + blocks_.period, &partial_[(2 * block + 1) * blocks_.channels]);
}

// dx = weight / sigma (g - mean(g) - (x - mean) mean(g (x - mean)) / sigma^2) with the batch's statistics; with running
// ones its first term.
void NormalizationGradient::merge(bool of_batch) {
  const int64_t channels = blocks_.channels;
  for (int64_t block = 0; block < blocks_.count; ++block)
    for (int64_t c = 0; c < channels; ++c) {
      sum_[c] += partial_[2 * block * channels + c];
      sum_x_[c] += partial_[(2 * block + 1) * channels + c];
    }
  std::vector<double> scale(channels), slope(channels), offset(channels);
  const auto gamma = weight_.values<float>();
  const auto rows = static_cast<double>(blocks_.rows);
  for (int64_t c = 0; c < channels; ++c) {
    scale[c] = gamma[c] * inverse_[c];
    if (!of_batch) continue;
    slope[c] = -scale[c] * inverse_[c] * inverse_[c] * sum_x_[c] / rows;
    offset[c] = -scale[c] * sum_[c] / rows - slope[c] * mean_[c];
  }
  scales_ = blocks_.spread(scale);
  slopes_ = blocks_.spread(slope);
  offsets_ = blocks_.spread(offset);
}

void NormalizationGradient::set(Gradients& dx, size_t weight) const {
  if (dx.wanted(weight)) {
    std::vector<double> dweight(sum_x_);
    for (size_t c = 0; c < dweight.size(); ++c) dweight[c] *= inverse_[c];
    dx.set(weight, floats(dweight));
  }
  if (dx.wanted(weight + 1)) dx.set(weight + 1, floats(sum_));
  for (const size_t i : {weight + 2, weight + 3})
    if (dx.wanted(i)) fail("batch_norm: the running statistics have no gradient");
}

void NormalizationGradient::apply(const float* dy, int64_t block, float* dx, float* dskip, int64_t origin) const {
  const auto& k = kernel::batch_norm_kernels();
  const float* x = x_.data<float>();
  blocks_.parts(block, [&](int64_t at, int64_t count, int64_t width) {
    k.gradient(dy + at, mask(at), x + at, scales_.data<float>(), slopes_.data<float>(), offsets_.data<float>(), count,
               width, dx + (at - origin), dskip == nullptr ? nullptr : dskip + at);
  });
}

}  // namespace sinter::ops
