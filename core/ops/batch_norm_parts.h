#pragma once
// Private: batch normalisation in blocks, for the operation by itself and for the one fused with a convolution.

#include <algorithm>
#include <bit>
#include <cstdint>
#include <vector>

#include "../activation.h"
#include "../kernel/batch_norm.h"
#include "../op.h"
#include "../parallel.h"

namespace sinter::ops {

/// Rows of channels cut into blocks of a fixed size, whatever the number of threads: what is summed per block and
/// merged in order is the same on any machine. A block is some whole images [...,C] of the first axis or a part of one,
/// so that it lies within a slice of images. Several rows are taken together so that even 16 channels fill vectors.
struct Blocks {
  static constexpr int64_t kFloats = 1 << 14;  // a block of each operand stays in the first levels of cache
  static constexpr int64_t kPeriod = 256;

  explicit Blocks(const Shape& shape);

  int64_t channels, rows, repeat, period;
  int64_t group_rows, group_blocks;  // of an image, or of some
  int64_t rows_per_block, count;

  int64_t first_row(int64_t block) const {
    return block / group_blocks * group_rows + block % group_blocks * rows_per_block;
  }
  int64_t rows_of(int64_t block) const {
    const int64_t end = std::min((block / group_blocks + 1) * group_rows, rows);
    return std::clamp<int64_t>(end - first_row(block), 0, rows_per_block);
  }
  /// The first block of an image that starts a group; `rows` for the image after the last.
  int64_t at_row(int64_t row) const { return row == rows ? count : row / group_rows * group_blocks; }

  /// f(first element, number of rows of `width`, width): whole periods, then what is left row by row.
  template <class F>
  void parts(int64_t block, const F& f) const {
    const int64_t first = first_row(block), here = rows_of(block), whole = here / repeat;
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
  Tensor spread(const std::vector<double>& values) const;
  /// A period's sums as one per channel.
  void fold(const float* acc, double* out) const;
};

struct Statistics {
  std::vector<double> mean, var;  // var biased
};

/// The batch's statistics: block by block, from any number of threads, while the block is in cache, then merged.
class BatchStatistics {
 public:
  explicit BatchStatistics(const Blocks& blocks) : blocks_(blocks), partial_(2 * blocks.count * blocks.channels) {}
  void add(const float* x, int64_t block);
  Statistics merged() const;
  /// The merged ones, which also move the running ones (state, not operands of the gradient: written in place), or are
  /// shown to the BatchNormProbe that there is.
  Statistics merged(double momentum, const Tensor& running_mean, const Tensor& running_var) const;

 private:
  const Blocks& blocks_;
  std::vector<double> partial_;
};

/// y = (x - mean) / sqrt(var + eps) * weight + bias (+ skip), then the activation.
class Normalization {
 public:
  Normalization(const Blocks& blocks, const Statistics& s, double eps, const Tensor& weight, const Tensor& bias);
  /// `skip` may be null, `y` may be `x`.
  void apply(const float* x, const float* skip, Activation activation, int64_t block, float* y) const;
  const std::vector<double>& inverse() const { return inverse_; }  // 1 / sqrt(var + eps)
  const Tensor& scales() const { return scales_; }                 // y = x * scale + shift, over a period
  const Tensor& shifts() const { return shifts_; }

 private:
  const Blocks& blocks_;
  std::vector<double> inverse_;
  Tensor scales_, shifts_;
};

/// The gradient: first the sums over every block, then, merged, dx block by block. What forward kept decides where an
/// activation's mask comes from.
class NormalizationGradient {
 public:
  /// Keeps what the gradient needs: x, and the output `y` for the activation's mask where something was added before
  /// it.
  static void keep(Context& context, const Tensor& x, const Tensor& weight, const Statistics& s,
                   const Normalization& normalization, Activation activation, bool skips, const Tensor& y);
  /// Reads it back, from the context's `first` kept tensor on.
  NormalizationGradient(const Blocks& blocks, const Context& context, size_t first, Activation activation, bool skips);

  /// `dy` is the whole gradient of the output.
  void add(const float* dy, int64_t block);
  /// `of_batch`: whether the statistics that normalised were the batch's own, and so have gradients as well.
  void merge(bool of_batch);
  /// The gradients of weight, input `weight`, and of bias, the next. Throws Error where those of the running
  /// statistics, the two after, are wanted: they have none.
  void set(Gradients& dx, size_t weight) const;
  /// dx and, where it is not null, the gradient of skip; either may be dy. dx starts at element `origin` of the whole.
  void apply(const float* dy, int64_t block, float* dx, float* dskip, int64_t origin = 0) const;

 private:
  kernel::ActivationMask mask(int64_t at) const;

  const Blocks& blocks_;
  float ceiling_;
  Tensor x_, weight_, y_, mask_scales_, mask_shifts_;
  std::vector<double> mean_, inverse_, partial_, sum_, sum_x_;  // sums of g, and of g (x - mean)
  Tensor means_, scales_, slopes_, offsets_;
};

/// Whether the statistics are the batch's: in training, unless they are frozen.
inline bool of_batch(const Context& context, bool frozen) { return context.training() && !frozen; }
/// Whether a BatchNormProbe sees this forward pass: then they are the batch's in any case. Throws Error where a
/// backward may follow.
bool probed(const Context& context);

/// Throws Error where a batch has no variance: one value a channel.
void check_batch(const Shape& shape);

/// Per-channel values in double, and back.
std::vector<double> doubles(const Tensor& t);
Tensor floats(const std::vector<double>& values);

}  // namespace sinter::ops
