#include "../../core/onednn.h"

#include <array>
#include <cstring>

#include "../../core/kernel/isa.h"
#include "../../core/parallel.h"
#include "../../core/random.h"
#include "../support.h"

using namespace sinter;

namespace {

// Sizes that no other test uses, so that the first call is the first.
const onednn::Convolution kConvolution{.batch = 3,
                                       .height = 11,
                                       .width = 13,
                                       .in = 16,
                                       .out = 32,
                                       .kernel_h = 3,
                                       .kernel_w = 3,
                                       .padding_h = 1,
                                       .padding_w = 1,
                                       .out_height = 11,
                                       .out_width = 13};

Shape input_shape(const onednn::Convolution& c) { return {c.batch, c.height, c.width, c.in}; }
Shape weight_shape(const onednn::Convolution& c) { return {c.out, c.kernel_h, c.kernel_w, c.in / c.groups}; }
Shape output_shape(const onednn::Convolution& c) { return {c.batch, c.out_height, c.out_width, c.out}; }

// Sums of products in type A, term by term.
template <class A, class X, class W>
Tensor plain(const onednn::Convolution& c, const Tensor& x, const Tensor& weight) {
  Tensor y = Tensor::empty(output_shape(c), DTypeOf<A>::value);
  const X* in = x.data<X>();
  const W* w = weight.data<W>();
  A* out = y.mutable_data<A>();
  const int64_t each = c.in / c.groups;
  for (int64_t n = 0; n < c.batch; ++n)
    for (int64_t oh = 0; oh < c.out_height; ++oh)
      for (int64_t ow = 0; ow < c.out_width; ++ow)
        for (int64_t o = 0; o < c.out; ++o) {
          A sum = 0;
          for (int64_t kh = 0; kh < c.kernel_h; ++kh)
            for (int64_t kw = 0; kw < c.kernel_w; ++kw) {
              const int64_t h = oh * c.stride_h - c.padding_h + kh * c.dilation_h;
              const int64_t v = ow * c.stride_w - c.padding_w + kw * c.dilation_w;
              if (h < 0 || v < 0 || h >= c.height || v >= c.width) continue;
              const int64_t first = o / (c.out / c.groups) * each;
              for (int64_t i = 0; i < each; ++i)
                sum += static_cast<A>(in[((n * c.height + h) * c.width + v) * c.in + first + i]) *
                       static_cast<A>(w[((o * c.kernel_h + kh) * c.kernel_w + kw) * each + i]);
            }
          *out++ = sum;
        }
  return y;
}

Tensor forward(const onednn::Convolution& c, const Tensor& x, const Tensor& weight, bool keep) {
  Tensor y = Tensor::empty(output_shape(c));
  onednn::convolution_forward(c, x, weight, {}, y, keep);
  return y;
}

template <class T>
Tensor integers(const Shape& shape, int64_t low, int64_t high, uint64_t seed) {
  Random random(seed);
  Tensor x = Tensor::empty(shape, DTypeOf<T>::value);
  T* out = x.mutable_data<T>();
  for (int64_t i = 0; i < x.elements(); ++i) out[i] = static_cast<T>(low + random.below(high - low + 1));
  return x;
}

}  // namespace

TEST_CASE("a primitive is made once for a geometry, whatever the number of threads") {
  const Tensor x = test::normal(input_shape(kConvolution)), dy = test::normal(output_shape(kConvolution), 3);
  Tensor dx = Tensor::empty(x.shape()), dweight = Tensor::empty(weight_shape(kConvolution)), none;
  const int before = threads();
  const auto all = [&](uint64_t seed) {  // other weights need no other primitive
    const Tensor weight = test::normal(weight_shape(kConvolution), seed);
    const int64_t made = onednn::primitives_created();
    forward(kConvolution, x, weight, true);
    onednn::convolution_backward_data(kConvolution, dy, weight, dx);
    onednn::convolution_backward_weights(kConvolution, x, dy, dweight, none);
    return onednn::primitives_created() - made;
  };
  set_threads(1);
  CHECK(all(1) == 3);
  CHECK(all(2) == 0);
  set_threads(2);
  CHECK(all(1) == 0);
  set_threads(before);
}

TEST_CASE("weights that are kept are reordered again when they change") {
  const Tensor x = test::normal(input_shape(kConvolution));
  Tensor weight = test::normal(weight_shape(kConvolution), 2);
  Tensor dx = Tensor::empty(x.shape()), other = Tensor::empty(x.shape());
  const Tensor dy = test::normal(output_shape(kConvolution), 3);
  for (int step = 0; step < 3; ++step) {
    CAPTURE(step);
    const Tensor y = forward(kConvolution, x, weight, true);
    CHECK_CLOSE(y, plain<float, float, float>(kConvolution, x, weight), 1e-4, 1e-4);
    CHECK_SAME(forward(kConvolution, x, weight, true), y);
    CHECK_SAME(forward(kConvolution, x, weight, false), y);
    onednn::convolution_backward_data(kConvolution, dy, weight, dx, true);
    onednn::convolution_backward_data(kConvolution, dy, weight.clone(), other, false);
    CHECK_SAME(dx, other);
    weight.mutable_data<float>()[step] += 10;
  }
}

TEST_CASE("weights that take the memory of others are not taken for them") {
  const Tensor x = test::normal(input_shape(kConvolution));
  for (uint64_t seed = 1; seed < 6; ++seed) {
    const Tensor weight = test::normal(weight_shape(kConvolution), seed);  // freed, and allocated again
    CHECK_CLOSE(forward(kConvolution, x, weight, true), plain<float, float, float>(kConvolution, x, weight), 1e-4,
                1e-4);
  }
}

TEST_CASE("primitives are bounded in bytes, and the one used longest ago goes first") {
  const auto made_by = [](int64_t height) {
    onednn::Convolution c = kConvolution;
    c.height = c.out_height = height;
    const int64_t before = onednn::primitives_created();
    forward(c, test::normal(input_shape(c)), test::normal(weight_shape(c)), true);
    return onednn::primitives_created() - before;
  };
  const onednn::CacheBytes limits = onednn::limit_cache({.primitives = 0, .weights = 0});
  made_by(20);
  const int64_t one = onednn::cached().primitives;  // the newest stays
  CHECK(one > 0);
  onednn::limit_cache({.primitives = 2 * one, .weights = limits.weights});
  CHECK(made_by(21) == 1);
  CHECK(made_by(20) == 0);
  CHECK(made_by(22) == 1);  // 21 goes
  CHECK(made_by(20) == 0);
  CHECK(made_by(22) == 0);
  CHECK(made_by(21) == 1);  // 20 goes
  CHECK(made_by(22) == 0);
  CHECK(onednn::cached().primitives == 2 * one);
  onednn::limit_cache(limits);
}

TEST_CASE("reordered weights are bounded in bytes, and go when their weights are gone") {
  const Tensor x = test::normal(input_shape(kConvolution));
  std::vector<Tensor> weights;
  const auto use = [&](uint64_t seed) {
    weights.push_back(test::normal(weight_shape(kConvolution), seed));
    forward(kConvolution, x, weights.back(), true);
  };
  const onednn::CacheBytes limits = onednn::limit_cache({.primitives = int64_t{1} << 30, .weights = 0});
  use(1);
  const int64_t one = onednn::cached().weights;
  CHECK(one > 0);
  onednn::limit_cache({.primitives = limits.primitives, .weights = 3 * one});
  for (uint64_t seed = 2; seed < 10; ++seed) use(seed);
  CHECK(onednn::cached().weights == 3 * one);

  onednn::limit_cache(limits);
  for (uint64_t seed = 10; seed < 20; ++seed) use(seed);
  CHECK(onednn::cached().weights == 13 * one);
  weights.clear();
  for (uint64_t seed = 20; seed < 60; ++seed) {
    use(seed);
    weights.clear();
  }
  CHECK(onednn::cached().weights <= 3 * one);
}

TEST_CASE("small int8 convolutions are those of loops") {
  if (!onednn::has_vnni()) return;
  const std::vector<onednn::Convolution> cases{{.batch = 2,
                                                .height = 5,
                                                .width = 6,
                                                .in = 3,
                                                .out = 5,
                                                .kernel_h = 3,
                                                .kernel_w = 3,
                                                .out_height = 3,
                                                .out_width = 4},
                                               {.batch = 1,
                                                .height = 7,
                                                .width = 5,
                                                .in = 16,
                                                .out = 16,
                                                .kernel_h = 3,
                                                .kernel_w = 1,
                                                .stride_h = 2,
                                                .padding_h = 1,
                                                .out_height = 4,
                                                .out_width = 5},
                                               {.batch = 1,
                                                .height = 6,
                                                .width = 6,
                                                .in = 8,
                                                .out = 4,
                                                .groups = 2,
                                                .kernel_h = 3,
                                                .kernel_w = 3,
                                                .padding_h = 2,
                                                .padding_w = 2,
                                                .dilation_h = 2,
                                                .dilation_w = 2,
                                                .out_height = 6,
                                                .out_width = 6},
                                               {.batch = 1,
                                                .height = 5,
                                                .width = 5,
                                                .in = 16,
                                                .out = 16,
                                                .groups = 16,
                                                .kernel_h = 3,
                                                .kernel_w = 3,
                                                .padding_h = 1,
                                                .padding_w = 1,
                                                .out_height = 5,
                                                .out_width = 5},
                                               {.batch = 3, .in = 40, .out = 7}};
  for (size_t i = 0; i < cases.size(); ++i) {
    CAPTURE(i);
    const onednn::Convolution& c = cases[i];
    const Tensor of_signed = integers<int8_t>(input_shape(c), -128, 127, 1);
    const Tensor of_unsigned = integers<uint8_t>(input_shape(c), 0, 127, 2);
    Tensor weight = integers<int8_t>(weight_shape(c), -128, 127, 3), acc = Tensor::empty(output_shape(c), DType::int32);
    for (int step = 0; step < 2; ++step) {
      for (const bool keep : {true, false}) {
        CAPTURE(keep);
        onednn::convolution_int8(c, of_signed, weight, keep, acc);
        CHECK_SAME(acc, (plain<int32_t, int8_t, int8_t>(c, of_signed, weight)));
        onednn::convolution_int8(c, of_unsigned, weight, keep, acc);
        CHECK_SAME(acc, (plain<int32_t, uint8_t, int8_t>(c, of_unsigned, weight)));
      }
      weight.mutable_data<int8_t>()[0] = 55;  // kept weights see it
    }
  }
}

TEST_CASE("a single slice that is cut among threads is that of loops") {
  const std::vector<onednn::Convolution> cases{{.height = 40,
                                                .width = 37,
                                                .in = 32,
                                                .out = 32,
                                                .kernel_h = 5,
                                                .kernel_w = 3,
                                                .padding_h = 2,
                                                .padding_w = 1,
                                                .out_height = 40,
                                                .out_width = 37},
                                               {.height = 61,
                                                .width = 64,
                                                .in = 48,
                                                .out = 64,
                                                .kernel_h = 3,
                                                .kernel_w = 3,
                                                .stride_h = 2,
                                                .stride_w = 2,
                                                .padding_h = 1,
                                                .padding_w = 1,
                                                .out_height = 31,
                                                .out_width = 32},
                                               {.height = 30,
                                                .width = 40,
                                                .in = 32,
                                                .out = 32,
                                                .groups = 2,
                                                .kernel_h = 5,
                                                .kernel_w = 5,
                                                .padding_h = 8,
                                                .padding_w = 2,
                                                .dilation_h = 4,
                                                .out_height = 30,
                                                .out_width = 40},
                                               {.batch = 2,
                                                .height = 16,
                                                .width = 16,
                                                .in = 64,
                                                .out = 64,
                                                .kernel_h = 3,
                                                .kernel_w = 3,
                                                .padding_h = 1,
                                                .padding_w = 1,
                                                .out_height = 16,
                                                .out_width = 16},
                                               {.batch = 5,
                                                .height = 4,
                                                .width = 4,
                                                .in = 128,
                                                .out = 256,
                                                .kernel_h = 3,
                                                .kernel_w = 3,
                                                .padding_h = 1,
                                                .padding_w = 1,
                                                .out_height = 4,
                                                .out_width = 4},
                                               {.height = 64,
                                                .width = 64,
                                                .in = 32,
                                                .out = 32,
                                                .kernel_h = 3,
                                                .kernel_w = 3,
                                                .padding_h = 1,
                                                .padding_w = 1,
                                                .out_height = 64,
                                                .out_width = 64}};
  for (size_t i = 0; i < cases.size(); ++i) {
    CAPTURE(i);
    const onednn::Convolution& c = cases[i];
    const Tensor x = test::normal(input_shape(c)), weight = test::normal(weight_shape(c), 2, 0.1);
    const Tensor expected = plain<float, float, float>(c, x, weight);
    CHECK_CLOSE(forward(c, x, weight, true), expected, 1e-4, 1e-4);
    Tensor y = Tensor::empty(output_shape(c));
    onednn::convolution_forward_fast(c, x, weight, y);
    CHECK_CLOSE(y, expected, 1e-4, 1e-4);
    if (!onednn::has_vnni()) continue;
    const Tensor of_signed = integers<int8_t>(input_shape(c), -128, 127, 1),
                 integer = integers<int8_t>(weight_shape(c), -60, 60, 3);
    Tensor acc = Tensor::empty(output_shape(c), DType::int32);
    onednn::convolution_int8(c, of_signed, integer, true, acc);
    CHECK_SAME(acc, (plain<int32_t, int8_t, int8_t>(c, of_signed, integer)));
  }
}

TEST_CASE("one shape's weights are prepared by several threads at once") {
  if (!onednn::has_vnni()) return;
  const onednn::Convolution c{.in = 512, .out = 512, .groups = 4};  // hardly more than the preparation
  std::array<int, 4> wrong{};
  test::at_once(4, [&](int t) {
    const Tensor x = integers<int8_t>(input_shape(c), -128, 127, 10),
                 weight = integers<int8_t>(weight_shape(c), -128, 127, 11 + t);
    const Tensor expected = plain<int32_t, int8_t, int8_t>(c, x, weight);
    Tensor acc = Tensor::empty(output_shape(c), DType::int32);
    for (int i = 0; i < 500; ++i) {
      onednn::convolution_int8(c, x, weight, false, acc);
      wrong[t] += std::memcmp(acc.data<int32_t>(), expected.data<int32_t>(), acc.bytes()) != 0;
    }
  });
  for (const int count : wrong) CHECK(count == 0);
}

TEST_CASE("a convolution that oneDNN refuses is named") {
  onednn::Convolution c = kConvolution;
  c.out_height = -1;
  Tensor y = Tensor::empty({1});
  CHECK_ERROR(onednn::convolution_forward(c, test::normal(input_shape(c)), test::normal(weight_shape(c)), {}, y),
              "conv2d: oneDNN refused input [3,11,13,16], kernel 3x3, 32 output channels, 1 groups: ");
}
