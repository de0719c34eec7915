#include "onednn_work.h"

#include <oneapi/dnnl/dnnl.hpp>
#include <unordered_map>

namespace sinter::bench {

namespace {

using dnnl::memory;
using type = memory::data_type;
using tag = memory::format_tag;

dnnl::engine& engine() {
  static auto& instance = *new dnnl::engine(dnnl::engine::kind::cpu, 0);
  return instance;
}

// Memory with numbers in it that are nothing special.
memory filled(const memory::desc& desc) {
  memory result(desc, engine());
  auto* bytes = static_cast<uint8_t*>(result.get_data_handle());
  for (size_t i = 0; i < desc.get_size(); ++i) bytes[i] = static_cast<uint8_t>(i % 100);
  if (desc.data_type() == type::f32) {
    auto* values = static_cast<float*>(result.get_data_handle());
    for (size_t i = 0; i < desc.get_size() / sizeof(float); ++i) values[i] = static_cast<float>(i % 9) / 8 - 0.5f;
  }
  return result;
}

Work of(const dnnl::primitive& primitive, const std::unordered_map<int, memory>& arguments) {
  return [primitive, arguments, stream = dnnl::stream(engine())]() mutable {
    primitive.execute(stream, arguments);
    stream.wait();
  };
}

memory::desc image(const Shape& x, type t = type::f32) { return {{x[0], x[3], x[1], x[2]}, t, tag::nhwc}; }
memory::desc matrix(int64_t rows, int64_t columns, tag order = tag::ab) { return {{rows, columns}, type::f32, order}; }

struct ConvolutionDescs {
  memory::desc x, weight, y;
  memory::dims strides, before, after, dilations;
};

ConvolutionDescs descs(const onednn::Convolution& c, type x, type weight, type y) {
  const memory::dims dims = c.groups == 1
                                ? memory::dims{c.out, c.in, c.kernel_h, c.kernel_w}
                                : memory::dims{c.groups, c.out / c.groups, c.in / c.groups, c.kernel_h, c.kernel_w};
  return {image({c.batch, c.height, c.width, c.in}, x),
          {dims, weight, tag::any},
          image({c.batch, c.out_height, c.out_width, c.out}, y),
          {c.stride_h, c.stride_w},
          {c.padding_h, c.padding_w},
          {(c.out_height - 1) * c.stride_h + c.kernel_h - c.height - c.padding_h,
           (c.out_width - 1) * c.stride_w + c.kernel_w - c.width - c.padding_w},
          {c.dilation_h - 1, c.dilation_w - 1}};
}

dnnl::convolution_forward::primitive_desc forward_desc(const ConvolutionDescs& d, dnnl::prop_kind kind,
                                                       const dnnl::primitive_attr& attributes = {}) {
  return {{kind, dnnl::algorithm::convolution_direct, d.x, d.weight, d.y, d.strides, d.dilations, d.before, d.after},
          attributes,
          engine()};
}

}  // namespace

Work onednn_convolution(Pass pass, const onednn::Convolution& c) {
  const ConvolutionDescs d = descs(c, type::f32, type::f32, type::f32);
  constexpr auto kDirect = dnnl::algorithm::convolution_direct;
  const auto forward = forward_desc(d, dnnl::prop_kind::forward_training);
  if (pass == Pass::forward)
    return of(
        dnnl::convolution_forward(forward),
        {{DNNL_ARG_SRC, filled(d.x)}, {DNNL_ARG_WEIGHTS, filled(forward.weights_desc())}, {DNNL_ARG_DST, filled(d.y)}});
  if (pass == Pass::backward_data) {
    const dnnl::convolution_backward_data::primitive_desc desc(
        {kDirect, d.x, d.weight, d.y, d.strides, d.dilations, d.before, d.after}, engine(), forward);
    return of(dnnl::convolution_backward_data(desc), {{DNNL_ARG_DIFF_SRC, filled(d.x)},
                                                      {DNNL_ARG_WEIGHTS, filled(desc.weights_desc())},
                                                      {DNNL_ARG_DIFF_DST, filled(d.y)}});
  }
  const dnnl::convolution_backward_weights::primitive_desc desc(
      {kDirect, d.x, d.weight, d.y, d.strides, d.dilations, d.before, d.after}, engine(), forward);
  return of(dnnl::convolution_backward_weights(desc), {{DNNL_ARG_SRC, filled(d.x)},
                                                       {DNNL_ARG_DIFF_WEIGHTS, filled(desc.diff_weights_desc())},
                                                       {DNNL_ARG_DIFF_DST, filled(d.y)}});
}

Work onednn_int8_convolution(const onednn::Convolution& c, bool to_int8) {
  const ConvolutionDescs d = descs(c, type::u8, type::s8, to_int8 ? type::s8 : type::s32);
  dnnl::primitive_attr attributes;
  if (to_int8) attributes.set_output_scales(0, {1.0f / 1024});
  const auto forward = forward_desc(d, dnnl::prop_kind::forward_inference, attributes);
  return of(
      dnnl::convolution_forward(forward),
      {{DNNL_ARG_SRC, filled(d.x)}, {DNNL_ARG_WEIGHTS, filled(forward.weights_desc())}, {DNNL_ARG_DST, filled(d.y)}});
}

Work onednn_linear(int64_t rows, int64_t in, int64_t out) {
  const memory::desc x = matrix(rows, in), y = matrix(rows, out), bias({out}, type::f32, tag::a);
  const dnnl::inner_product_forward::primitive_desc desc(
      {dnnl::prop_kind::forward_training, x, matrix(out, in, tag::any), bias, y}, engine());
  return of(dnnl::inner_product_forward(desc), {{DNNL_ARG_SRC, filled(x)},
                                                {DNNL_ARG_WEIGHTS, filled(desc.weights_desc())},
                                                {DNNL_ARG_BIAS, filled(bias)},
                                                {DNNL_ARG_DST, filled(y)}});
}

Work onednn_batch_norm(const Shape& x) {
  const auto flags = dnnl::normalization_flags::use_scale | dnnl::normalization_flags::use_shift;
  const dnnl::batch_normalization_forward::primitive_desc desc(
      {dnnl::prop_kind::forward_training, image(x), 1e-5f, flags}, engine());
  const memory::desc channels({x[3]}, type::f32, tag::a);
  return of(dnnl::batch_normalization_forward(desc), {{DNNL_ARG_SRC, filled(image(x))},
                                                      {DNNL_ARG_DST, filled(image(x))},
                                                      {DNNL_ARG_SCALE, filled(channels)},
                                                      {DNNL_ARG_SHIFT, filled(channels)},
                                                      {DNNL_ARG_MEAN, filled(channels)},
                                                      {DNNL_ARG_VARIANCE, filled(channels)}});
}

Work onednn_relu(const Shape& x) {
  const dnnl::eltwise_forward::primitive_desc desc(
      {dnnl::prop_kind::forward_training, dnnl::algorithm::eltwise_relu, image(x), 0.0f}, engine());
  return of(dnnl::eltwise_forward(desc), {{DNNL_ARG_SRC, filled(image(x))}, {DNNL_ARG_DST, filled(image(x))}});
}

Work onednn_add(const Shape& x) {
  const dnnl::binary::primitive_desc desc({dnnl::algorithm::binary_add, image(x), image(x), image(x)}, engine());
  return of(dnnl::binary(desc),
            {{DNNL_ARG_SRC_0, filled(image(x))}, {DNNL_ARG_SRC_1, filled(image(x))}, {DNNL_ARG_DST, filled(image(x))}});
}

Work onednn_max_pool(const Shape& x) {
  const memory::desc y = image({x[0], x[1] / 2, x[2] / 2, x[3]});
  const dnnl::pooling_forward::primitive_desc desc(
      {dnnl::prop_kind::forward_training, dnnl::algorithm::pooling_max, image(x), y, {2, 2}, {3, 3}, {1, 1}, {0, 0}},
      engine());
  return of(dnnl::pooling_forward(desc), {{DNNL_ARG_SRC, filled(image(x))},
                                          {DNNL_ARG_DST, filled(y)},
                                          {DNNL_ARG_WORKSPACE, filled(desc.workspace_desc())}});
}

Work onednn_softmax(int64_t rows, int64_t classes) {
  const memory::desc x = matrix(rows, classes);
  const dnnl::softmax_forward::primitive_desc desc({dnnl::prop_kind::forward_training, x, 1}, engine());
  return of(dnnl::softmax_forward(desc), {{DNNL_ARG_SRC, filled(x)}, {DNNL_ARG_DST, filled(x)}});
}

}  // namespace sinter::bench
