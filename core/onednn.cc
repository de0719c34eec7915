#include "onednn.h"

#include "convolution_slices.h"
#include "onednn_primitive.h"

namespace sinter::onednn {

namespace {

template <class X, class Y>
void forward(const char* what, const Convolution& c, const ConvolutionSlices& slices, const X* x, Y* y) {
  explained(what, c, [&] {
    slices.for_each(
        [&](int64_t slice, int64_t image) { slices.forward(slice, x + image * c.image(), y + image * c.out_image()); });
  });
}

}  // namespace

void convolution_forward(const Convolution& c, const Tensor& x, const Tensor& weight, const Tensor& bias, Tensor& y,
                         bool keep) {
  const ConvolutionSlices slices(Kind::forward, c, weight, {.keep = keep, .exact = true}, bias);
  forward("conv2d", c, slices, x.data<float>(), y.mutable_data<float>());
}

void convolution_forward_fast(const Convolution& c, const Tensor& x, const Tensor& weight, Tensor& y, bool keep) {
  const ConvolutionSlices slices(Kind::forward, c, weight, {.keep = keep});
  forward("conv2d", c, slices, x.data<float>(), y.mutable_data<float>());
}

void convolution_int8(const Convolution& c, const Tensor& x, const Tensor& weight, bool keep, Tensor& acc) {
  const Kind kind = x.dtype() == DType::uint8 ? Kind::uint8_forward : Kind::int8_forward;
  const ConvolutionSlices slices(kind, c, weight, {.keep = keep});
  forward("conv2d (int8)", c, slices, static_cast<const int8_t*>(address(x)), acc.mutable_data<int32_t>());
}

void convolution_backward_data(const Convolution& c, const Tensor& dy, const Tensor& weight, Tensor& dx, bool keep) {
  const ConvolutionSlices slices(Kind::backward_data, c, weight, {.keep = keep});
  const float* from = dy.data<float>();
  float* to = dx.mutable_data<float>();
  explained("conv2d backward", c, [&] {
    slices.for_each([&](int64_t slice, int64_t image) {
      slices.backward_data(slice, from + image * c.out_image(), to + image * c.image());
    });
  });
}

void convolution_backward_weights(const Convolution& c, const Tensor& x, const Tensor& dy, Tensor& dweight,
                                  Tensor& dbias) {
  ConvolutionSlices slices(Kind::backward_weights, c, dweight, {.bias = dbias.defined()});
  const float *from = x.data<float>(), *gradient = dy.data<float>();
  explained("conv2d backward", c, [&] {
    slices.for_each([&](int64_t slice, int64_t image) {
      slices.backward_weights(slice, from + image * c.image(), gradient + image * c.out_image());
    });
    slices.finish(dweight, dbias);
  });
}

}  // namespace sinter::onednn
