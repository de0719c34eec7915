#include "onednn.h"

#include "convolution_slices.h"
#include "onednn_primitive.h"

namespace sinter::onednn {

namespace {

void forward(Kind kind, const Convolution& c, const Tensor& x, const Tensor& weight, const Tensor& bias, bool keep,
             void* y) {
  const PrimitiveKey key{.kind = kind, .convolution = c, .has_bias = bias.defined()};
  const auto p = find_or_make(key);
  const Tensor prepared = prepared_weight(*p, key, weight, keep);
  Arguments arguments{{DNNL_ARG_SRC, at(p->x, address(x))},
                      {DNNL_ARG_WEIGHTS, at(p->weight, address(prepared))},
                      {DNNL_ARG_DST, at(p->y, y)}};
  if (bias.defined()) arguments.emplace(DNNL_ARG_BIAS, at(p->bias, address(bias)));
  execute(*p, std::move(arguments));
}

}  // namespace

void convolution_forward(const Convolution& c, const Tensor& x, const Tensor& weight, const Tensor& bias, Tensor& y,
                         bool keep) {
  explained("conv2d", c, [&] { forward(Kind::forward, c, x, weight, bias, keep, y.mutable_data<float>()); });
}

void convolution_int8(const Convolution& c, const Tensor& x, const Tensor& weight, bool keep, Tensor& acc) {
  const Kind kind = x.dtype() == DType::uint8 ? Kind::uint8_forward : Kind::int8_forward;
  explained("conv2d (int8)", c, [&] { forward(kind, c, x, weight, {}, keep, acc.mutable_data<int32_t>()); });
}

void convolution_forward_sliced(const Convolution& c, const Tensor& x, const Tensor& weight, Tensor& y) {
  const ConvolutionSlices slices(Kind::forward, c, weight, {});
  const float* from = x.data<float>();
  float* to = y.mutable_data<float>();
  explained("conv2d", c, [&] {
    slices.for_each([&](int64_t slice, int64_t image) {
      slices.forward(slice, from + image * c.image(), to + image * c.out_image());
    });
  });
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
