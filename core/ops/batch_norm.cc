#include "batch_norm.h"

#include <algorithm>
#include <cmath>
#include <vector>

#include "../kernel/batch_norm.h"
#include "../parallel.h"
#include "elementwise.h"

namespace sinter::ops {

namespace {

enum Input { kX, kWeight, kBias, kMean, kVar, kSkip };

// Rows of channels cut into blocks of a fixed size, whatever the number of threads: what is summed per block and merged
// in order is the same on any machine. Several rows are taken together so that even 16 channels fill vectors.
struct Blocks {
  static constexpr int64_t kFloats = 1 << 14;  // a block of each operand stays in the first levels of cache
  static constexpr int64_t kPeriod = 256;

  explicit Blocks(const Shape& shape)
      : channels(shape[-1]),
        rows(channels == 0 ? 0 : shape.elements() / channels),
        repeat(std::max<int64_t>(1, kPeriod / std::max<int64_t>(channels, 1))),
        period(repeat * channels),
        rows_per_block(std::max<int64_t>(1, kFloats / std::max<int64_t>(period, 1)) * repeat),
        count((rows + rows_per_block - 1) / rows_per_block) {}

  int64_t channels, rows, repeat, period, rows_per_block, count;

  // f(first element, number of rows of `width`, width): whole periods, then what is left row by row.
  template <class F>
  void parts(int64_t block, const F& f) const {
    const int64_t first = block * rows_per_block, here = std::min(rows_per_block, rows - first);
    const int64_t whole = here / repeat;
    if (whole > 0) f(first * channels, whole, period);
    if (here % repeat > 0) f((first + whole * repeat) * channels, here % repeat, channels);
  }

  template <class F>
  void for_each(const F& f) const {
    parallel_for(count, 1, [&](int64_t begin, int64_t end) {
      for (int64_t block = begin; block < end; ++block) f(block);
    });
  }

  /// Per-channel values repeated to a period.
  Tensor spread(const std::vector<double>& values) const {
    Tensor result = Tensor::empty({period});
    float* out = result.mutable_data<float>();
    for (int64_t j = 0; j < period; ++j) out[j] = static_cast<float>(values[j % channels]);
    return result;
  }

  /// A period's sums as one per channel.
  void fold(const float* acc, double* out) const {
    for (int64_t c = 0; c < channels; ++c) out[c] = 0;
    for (int64_t j = 0; j < period; ++j) out[j % channels] += acc[j];
  }
};

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

struct Statistics {
  std::vector<double> mean, var;  // var biased
};

// Per block the mean and the squares around it, while the block is in cache; blocks merge in double
// (Chan, Golub & LeVeque 1979).
Statistics statistics(const float* x, const Blocks& blocks) {
  const auto& k = kernel::batch_norm_kernels();
  const int64_t channels = blocks.channels;
  std::vector<double> partial(2 * blocks.count * channels);
  blocks.for_each([&](int64_t block) {
    std::vector<float> acc(blocks.period), mean(blocks.period);
    double* block_mean = &partial[2 * block * channels];
    double* block_squares = block_mean + channels;
    int64_t rows = 0;
    blocks.parts(block, [&](int64_t at, int64_t count, int64_t width) {
      k.sum(x + at, count, width, acc.data());
      rows += count * width / channels;
    });
    blocks.fold(acc.data(), block_mean);
    for (int64_t c = 0; c < channels; ++c)
      block_mean[c] = static_cast<float>(block_mean[c] / static_cast<double>(rows));
    for (int64_t j = 0; j < blocks.period; ++j) mean[j] = static_cast<float>(block_mean[j % channels]);
    std::fill(acc.begin(), acc.end(), 0.0f);
    blocks.parts(block, [&](int64_t at, int64_t count, int64_t width) {
      k.sum_squares(x + at, mean.data(), count, width, acc.data());
    });
    blocks.fold(acc.data(), block_squares);
  });

  Statistics result{std::vector<double>(channels), std::vector<double>(channels)};
  double seen = 0;
  for (int64_t block = 0; block < blocks.count; ++block) {
    const double rows =
        static_cast<double>(std::min(blocks.rows_per_block, blocks.rows - block * blocks.rows_per_block));
    const double total = seen + rows;
    const double* block_mean = &partial[2 * block * channels];
    for (int64_t c = 0; c < channels; ++c) {
      const double delta = block_mean[c] - result.mean[c];
      result.var[c] += block_mean[channels + c] + delta * delta * seen * rows / total;
      result.mean[c] += delta * rows / total;
    }
    seen = total;
  }
  for (double& v : result.var) v /= static_cast<double>(blocks.rows);
  return result;
}

}  // namespace

Specs BatchNorm::infer(std::span<const Spec> x) const {
  check(x.size() == 5 || x.size() == 6, "batch_norm: got ", x.size(),
        " inputs, expected input, weight, bias, running mean and variance, and perhaps a tensor to add");
  expect_float("batch_norm", x, x.size());
  const Shape& shape = x[kX].shape;
  check(shape.rank() >= 2, "batch_norm: input is ", shape, ", expected [...,C]");
  constexpr const char* kNames[] = {"", "weight", "bias", "running mean", "running variance"};
  for (int i = kWeight; i <= kVar; ++i)
    check(x[i].shape == Shape{shape[-1]}, "batch_norm: ", kNames[i], " is ", x[i].shape, ", input has ", shape[-1],
          " channels, expected [", shape[-1], "]");
  if (x.size() == 6)
    check(x[kSkip].shape == shape, "batch_norm: tensor to add is ", x[kSkip].shape, ", input is ", shape);
  return {x[kX]};
}

void BatchNorm::forward(Inputs x, Outputs y, Context& context) const {
  const Blocks blocks(x[kX].shape());
  const float* in = x[kX].data<float>();
  Statistics s;
  if (context.training()) {
    check(blocks.rows > 1, "batch_norm: training on ", x[kX].shape(),
          " would divide by zero, expected more than one value a channel");
    s = statistics(in, blocks);
    // The running statistics are state, not operands of the gradient: they are written in place.
    float* mean = Tensor(x[kMean]).mutable_data<float>();
    float* var = Tensor(x[kVar]).mutable_data<float>();
    const double unbias = static_cast<double>(blocks.rows) / static_cast<double>(blocks.rows - 1);
    for (int64_t c = 0; c < blocks.channels; ++c) {
      mean[c] = static_cast<float>((1 - attributes.momentum) * mean[c] + attributes.momentum * s.mean[c]);
      var[c] = static_cast<float>((1 - attributes.momentum) * var[c] + attributes.momentum * s.var[c] * unbias);
    }
  } else {
    s = {doubles(x[kMean]), doubles(x[kVar])};
  }

  const auto weight = x[kWeight].values<float>(), bias = x[kBias].values<float>();
  std::vector<double> inverse(blocks.channels), scale(blocks.channels), shift(blocks.channels);
  for (int64_t c = 0; c < blocks.channels; ++c) {
    inverse[c] = 1 / std::sqrt(s.var[c] + attributes.eps);
    scale[c] = weight[c] * inverse[c];
    shift[c] = bias[c] - s.mean[c] * scale[c];
  }
  const Tensor scales = blocks.spread(scale), shifts = blocks.spread(shift);
  const float* skip = x.size() == 6 ? x[kSkip].data<float>() : nullptr;
  float* out = y[0].mutable_data<float>();
  const auto& k = kernel::batch_norm_kernels();
  blocks.for_each([&](int64_t block) {
    blocks.parts(block, [&](int64_t at, int64_t count, int64_t width) {
      k.affine(in + at, scales.data<float>(), shifts.data<float>(), skip == nullptr ? nullptr : skip + at,
               attributes.relu, count, width, out + at);
    });
  });

  if (!context.recording()) return;
  context.keep(x[kX]);
  context.keep(x[kWeight]);
  context.keep(floats(s.mean));
  context.keep(floats(inverse));
  if (attributes.relu) context.keep(y[0]);
}

void BatchNorm::backward(const Context& context, Outputs dy, Gradients& dx) const {
  const Tensor x = context.kept(0), weight = context.kept(1);
  const std::vector<double> mean = doubles(context.kept(2)), inverse = doubles(context.kept(3));
  const Tensor y = attributes.relu ? context.kept(4) : Tensor();
  const Blocks blocks(x.shape());
  const int64_t channels = blocks.channels;
  const auto& k = kernel::batch_norm_kernels();
  const float *in = x.data<float>(), *out = attributes.relu ? y.data<float>() : nullptr;
  const float* gradient = dy[0].data<float>();
  const auto masked = [&](int64_t at) { return out == nullptr ? nullptr : out + at; };

  const Tensor means = blocks.spread(mean);
  std::vector<double> partial(2 * blocks.count * channels);
  blocks.for_each([&](int64_t block) {
    std::vector<float> acc(2 * blocks.period);
    blocks.parts(block, [&](int64_t at, int64_t count, int64_t width) {
      k.gradient_sums(gradient + at, masked(at), in + at, means.data<float>(), count, width, acc.data(),
                      acc.data() + blocks.period);
    });
    blocks.fold(acc.data(), &partial[2 * block * channels]);
    blocks.fold(acc.data() + blocks.period, &partial[(2 * block + 1) * channels]);
  });
  std::vector<double> sum(channels), sum_x(channels);  // of g, and of g (x - mean)
  for (int64_t block = 0; block < blocks.count; ++block)
    for (int64_t c = 0; c < channels; ++c) {
      sum[c] += partial[2 * block * channels + c];
      sum_x[c] += partial[(2 * block + 1) * channels + c];
    }

  if (dx.wanted(kWeight)) {
    std::vector<double> dweight(channels);
    for (int64_t c = 0; c < channels; ++c) dweight[c] = sum_x[c] * inverse[c];
    dx.set(kWeight, floats(dweight));
  }
  if (dx.wanted(kBias)) dx.set(kBias, floats(sum));
  for (const int i : {kMean, kVar})
    if (dx.wanted(i)) fail("batch_norm: the running statistics have no gradient");
  const bool skips = dx.size() == 6 && dx.wanted(kSkip);
  if (!dx.wanted(kX) && !skips) return;

  // In training dx = weight / sigma (g - mean(g) - (x - mean) mean(g (x - mean)) / sigma^2); in evaluation its first
  // term.
  std::vector<double> scale(channels), slope(channels), offset(channels);
  const auto gamma = weight.values<float>();
  for (int64_t c = 0; c < channels; ++c) {
    scale[c] = gamma[c] * inverse[c];
    if (!context.training()) continue;
    const double rows = static_cast<double>(blocks.rows);
    slope[c] = -scale[c] * inverse[c] * inverse[c] * sum_x[c] / rows;
    offset[c] = -scale[c] * sum[c] / rows - slope[c] * mean[c];
  }
  const Tensor scales = blocks.spread(scale), slopes = blocks.spread(slope), offsets = blocks.spread(offset);
  Tensor result = skips ? Tensor::empty(x.shape()) : reuse_or_empty(dy[0]);
  Tensor dskip = skips ? reuse_or_empty(dy[0]) : Tensor();
  float* to = result.mutable_data<float>();
  float* to_skip = skips ? dskip.mutable_data<float>() : nullptr;
  blocks.for_each([&](int64_t block) {
    blocks.parts(block, [&](int64_t at, int64_t count, int64_t width) {
      k.gradient(gradient + at, masked(at), in + at, scales.data<float>(), slopes.data<float>(), offsets.data<float>(),
                 count, width, to + at, skips ? to_skip + at : nullptr);
    });
  });
  if (dx.wanted(kX)) dx.set(kX, std::move(result));
  if (skips) dx.set(kSkip, std::move(dskip));
}

}  // namespace sinter::ops

sinter::Tensor sinter::batch_norm(const Tensor& x, const Tensor& weight, const Tensor& bias, const Tensor& running_mean,
                                  const Tensor& running_var, const BatchNormAttributes& attributes) {
  return call(ops::BatchNorm{attributes}, x, weight, bias, running_mean, running_var);
}
