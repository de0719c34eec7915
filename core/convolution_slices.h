#pragma once
// Private: convolutions in slices of the batch.

#include <memory>

#include "onednn.h"
#include "parallel.h"

namespace sinter::onednn {

/// A convolution or one of its (float32) gradients, some images at a time and each call by the calling thread alone, so
/// that several threads work at once on images that stay in their caches; `forward` of a single slice cuts it among all
/// threads. What is cut and where depends on the geometry alone, and so do the results. Calls are safe from any number
/// of threads. 3x3 convolutions of many channels run as Winograd's in float, unless `exact`.
class ConvolutionSlices {
 public:
  struct Options {
    bool bias = false;   ///< of backward_weights, its gradient
    bool keep = true;    ///< as above
    bool exact = false;  ///< sums of products in float are exact where all partial sums are integers below 2^24
  };
  /// `weight` only gives its shape to backward_weights; `bias` is of Kind::forward, and may be undefined.
  ConvolutionSlices(Kind kind, const Convolution& c, const Tensor& weight, const Options& options,
                    const Tensor& bias = {});
  ~ConvolutionSlices();
  ConvolutionSlices(ConvolutionSlices&&) noexcept;

  int64_t count() const;
  /// The images of a slice.
  int64_t first(int64_t slice) const;
  int64_t images(int64_t slice) const;

  /// f(slice, its first image), on all threads.
  template <class F>
  void for_each(const F& f) const {
    parallel_for(count(), 1, [&](int64_t begin, int64_t end) {
      for (int64_t slice = begin; slice < end; ++slice) f(slice, first(slice));
    });
  }

  /// One slice; the addresses are those of its first image, where not `dweight` and `dbias`.
  void forward(int64_t slice, const float* x, float* y) const;
  /// Accumulators of int8_forward or uint8_forward; see `convolution_int8`.
  void forward(int64_t slice, const int8_t* x, int32_t* acc) const;
  void backward_data(int64_t slice, const float* dy, float* dx) const;
  /// Keeps the slice's share of the gradient of the weights; `finish` adds them up, in order.
  void backward_weights(int64_t slice, const float* x, const float* dy);
  void finish(Tensor& dweight, Tensor& dbias) const;

 private:
  struct State;
  template <class F>
  void for_pieces(int64_t slice, const F& f) const;

  std::unique_ptr<State> state_;
};

}  // namespace sinter::onednn
