#include "../../../quant/integer/conv.h"

#include "../../../core/ops/conv2d_geometry.h"
#include "../../../core/parallel.h"
#include "../../../core/random.h"
#include "../../support.h"

using namespace sinter;
using namespace sinter::quant;

namespace {

enum class Fill {
  random,
  high,   // every product as large as it gets, and odd ones among them
  mixed,  // large products of both signs
};

struct Case {
  std::string name;
  int64_t batch, size, in, out;
  Pair kernel;
  ConvAttributes conv{};
};

const std::vector<Case> kCases{
    {"first layer", 2, 9, 1, 16, {3, 3}, {.padding = 1}},
    {"three channels, 7x7", 1, 14, 3, 16, {7, 7}, {.stride = 2, .padding = 3}},
    {"3x3", 2, 8, 16, 16, {3, 3}, {.padding = 1}},
    {"3x3, stride 2, odd sizes", 3, 7, 16, 32, {3, 3}, {.stride = 2, .padding = 1}},
    {"3x3, dilation 2", 1, 9, 16, 17, {3, 3}, {.padding = 2, .dilation = 2}},
    {"3x3, just below 2^24", 1, 4, 114, 16, {3, 3}, {.padding = 1}},
    {"3x3, two parts", 1, 4, 128, 8, {3, 3}, {.padding = 1}},
    {"3x3, 512 channels", 1, 4, 512, 16, {3, 3}, {.padding = 1}},
    {"1x1", 2, 5, 64, 33, {1, 1}},
    {"1x1, stride 2", 2, 6, 16, 32, {1, 1}, {.stride = 2}},
    {"1x1, just below 2^24", 1, 3, 1032, 16, {1, 1}},
    {"linear, many parts", 8, 1, 8000, 10, {1, 1}},
    {"linear, small", 5, 1, 3, 1, {1, 1}},
    {"wide kernel", 1, 8, 5, 7, {1, 5}, {.padding = Pair{0, 2}}},
    {"depthwise", 2, 8, 32, 32, {3, 3}, {.padding = 1, .groups = 32}},
    {"depthwise, odd count, stride 2", 1, 7, 19, 19, {3, 3}, {.stride = 2, .padding = 1, .groups = 19}},
    {"depthwise, multiplier 2", 1, 6, 8, 16, {3, 3}, {.padding = 1, .groups = 8}},
    {"grouped", 1, 6, 64, 32, {3, 3}, {.padding = 1, .groups = 4}},
    {"grouped, two parts", 1, 4, 256, 8, {3, 3}, {.padding = 1, .groups = 2}},
};

// int8, or int16 where the bounds are beyond it.
Tensor filled(const Shape& shape, Bounds bounds, Fill fill, Random& random) {
  std::vector<int64_t> values;
  for (int64_t i = 0; i < shape.elements(); ++i) {
    const int64_t off = random.below(2);
    if (fill == Fill::random)
      values.push_back(bounds.low + random.below(bounds.high - bounds.low + 1));
    else if (fill == Fill::mixed && random.below(2) == 0)
      values.push_back(bounds.low + off);
    else
      values.push_back(bounds.high - off);
  }
  if (storage_of(bounds) == DType::int16)
    return Tensor::from(shape, std::vector<int16_t>(values.begin(), values.end()));
  return Tensor::from(shape, std::vector<int8_t>(values.begin(), values.end()));
}

Grid grid(const Bounds& bounds) { return {1, bounds, storage_of(bounds)}; }

int64_t at(const Tensor& x, int64_t i) {
  return x.dtype() == DType::int16 ? int64_t{x.data<int16_t>()[i]} : int64_t{x.data<int8_t>()[i]};
}

Tensor plain_convolution(const onednn::Convolution& c, const Tensor& x, const Tensor& weight) {
  Tensor acc = Tensor::empty({c.batch, c.out_height, c.out_width, c.out}, DType::int32);
  const int64_t in = c.in / c.groups, out = c.out / c.groups;
  const int8_t* w = weight.data<int8_t>();
  auto* y = acc.mutable_data<int32_t>();
  for (int64_t n = 0; n < c.batch; ++n)
    for (int64_t oh = 0; oh < c.out_height; ++oh)
      for (int64_t ow = 0; ow < c.out_width; ++ow)
        for (int64_t o = 0; o < c.out; ++o) {
          int64_t sum = 0;
          for (int64_t kh = 0; kh < c.kernel_h; ++kh)
            for (int64_t kw = 0; kw < c.kernel_w; ++kw) {
              const int64_t h = oh * c.stride_h - c.padding_h + kh * c.dilation_h;
              const int64_t v = ow * c.stride_w - c.padding_w + kw * c.dilation_w;
              if (h < 0 || v < 0 || h >= c.height || v >= c.width) continue;
              const int64_t from = ((n * c.height + h) * c.width + v) * c.in + o / out * in;
              const int8_t* by = w + ((o * c.kernel_h + kh) * c.kernel_w + kw) * in;
              for (int64_t i = 0; i < in; ++i) sum += at(x, from + i) * by[i];
            }
          REQUIRE(sum == static_cast<int32_t>(sum));
          *y++ = static_cast<int32_t>(sum);
        }
  return acc;
}

// Every value of x adds its multiple of the kernel, which is rotated, to the output.
Tensor plain_transposed(const onednn::Convolution& t, const Tensor& x, const Tensor& weight) {
  std::vector<int64_t> sums(static_cast<size_t>(t.batch * t.height * t.width * t.in));
  const int8_t* w = weight.data<int8_t>();
  const int64_t in = t.out / t.groups;
  for (int64_t n = 0; n < t.batch; ++n)
    for (int64_t h = 0; h < t.out_height; ++h)
      for (int64_t v = 0; v < t.out_width; ++v)
        for (int64_t kh = 0; kh < t.kernel_h; ++kh)
          for (int64_t kw = 0; kw < t.kernel_w; ++kw) {
            const int64_t oh = h * t.stride_h - t.padding_h + kh * t.dilation_h;
            const int64_t ow = v * t.stride_w - t.padding_w + kw * t.dilation_w;
            if (oh < 0 || ow < 0 || oh >= t.height || ow >= t.width) continue;
            for (int64_t o = 0; o < t.in; ++o)
              for (int64_t i = 0; i < in; ++i)
                sums[static_cast<size_t>(((n * t.height + oh) * t.width + ow) * t.in + o)] +=
                    at(x, ((n * t.out_height + h) * t.out_width + v) * t.out + o / (t.in / t.groups) * in + i) *
                    w[((o * t.kernel_h + t.kernel_h - 1 - kh) * t.kernel_w + t.kernel_w - 1 - kw) * in + i];
          }
  for (const int64_t sum : sums) REQUIRE(sum == static_cast<int32_t>(sum));
  return Tensor::from({t.batch, t.height, t.width, t.in}, std::vector<int32_t>(sums.begin(), sums.end()));
}

Tensor weights_of(std::initializer_list<int8_t> values) {
  return Tensor::from<int8_t>({1, static_cast<int64_t>(values.size())}, std::vector<int8_t>(values));
}

}  // namespace

// These, and the networks of validation_test.cc, also run with other ONEDNN_MAX_CPU_ISA. They notice both ways to lose
// bits, tried by breaking the code. Without parts (kExact at 2^40) the cases of several parts come out wrong: by up to
// 4 with VNNI, and by thousands in the float convolutions that serve without. With the bias handed to oneDNN as s32,
// "dead channels with a bias" in validation_test.cc does.
TEST_SUITE("exact") {
  TEST_CASE("integer convolutions have no rounding, whatever the sums") {
    const int before = threads();
    for (const Case& c : kCases)
      for (const Bounds bounds : {Bounds{-128, 127}, Bounds{0, 127}})
        for (const Fill fill : {Fill::random, Fill::high, Fill::mixed}) {
          CAPTURE(c.name);
          CAPTURE(bounds.low);
          CAPTURE(static_cast<int>(fill));
          Random random(static_cast<uint64_t>(fill) + 1, stream_of(c.name));
          const Tensor x = filled({c.batch, c.size, c.size, c.in}, bounds, fill, random);
          const Tensor weight =
              filled({c.out, c.kernel.h, c.kernel.w, c.in / c.conv.groups}, {-128, 127}, fill, random);
          const Shape shape = ops::conv2d_shape("test", c.conv, x.shape(), weight.shape(), nullptr);
          const auto geometry = ops::geometry(c.conv, x.shape(), weight.shape(), shape);
          const Tensor expected = plain_convolution(geometry, x, weight);
          for (const int count : {1, 2}) {
            set_threads(count);
            Tensor acc = Tensor::empty(shape, DType::int32);
            integer_convolution(geometry, x, Grid{1, bounds}, integer_weights(weight, Grid{1, bounds}, false, "test"),
                                acc);
            CHECK_SAME(acc, expected);
          }
          set_threads(before);
        }
  }

  TEST_CASE("transposed convolutions have no rounding, of any type, kernel, stride and padding") {
    struct Transposed {
      std::string name;
      Pair size;
      int64_t in, out;
      Pair kernel;
      ConvAttributes conv;
      Pair added{0};
    };
    const Transposed cases[] = {
        {"stride 1", {5, 4}, 16, 16, {3, 3}, {.padding = 1}},
        {"4x4, stride 2", {4, 5}, 16, 32, {4, 4}, {.stride = 2, .padding = 1}},
        {"2x2, stride 2", {3, 3}, 19, 7, {2, 2}, {.stride = 2}},
        {"3x3, stride 2, added", {4, 3}, 8, 5, {3, 3}, {.stride = 2, .padding = 1}, {1, 1}},
        {"gaps", {3, 4}, 5, 3, {1, 2}, {.stride = {3, 4}}, {2, 0}},
        {"dilated", {4, 3}, 6, 9, {3, 2}, {.stride = {2, 3}, .padding = {1, 2}, .dilation = {2, 3}}},
        {"a column", {1, 6}, 98, 4, {49, 1}, {}},
        {"cut", {5, 5}, 8, 8, {3, 3}, {.stride = 1, .padding = 2}},
        {"parts", {2, 2}, 1100, 3, {2, 1}, {.stride = 2}},
        {"depthwise", {4, 5}, 24, 24, {4, 3}, {.stride = 2, .padding = 1, .groups = 24}, {0, 1}},
        {"depthwise, dilated", {3, 4}, 5, 5, {3, 2}, {.stride = {2, 3}, .dilation = {2, 3}, .groups = 5}, {1, 0}},
    };
    const int before = threads();
    for (const Transposed& c : cases)
      for (const Bounds bounds : {Bounds{-128, 127}, Bounds{0, 127}, Bounds{-32768, 32767}})
        for (const Fill fill : {Fill::random, Fill::high, Fill::mixed}) {
          const int64_t each = c.in / c.conv.groups;
          if (bounds.high > 127 && each * c.kernel.h * c.kernel.w > 256) continue;  // beyond 32 bits
          CAPTURE(c.name);
          CAPTURE(bounds.low);
          CAPTURE(static_cast<int>(fill));
          Random random(static_cast<uint64_t>(fill) + 3, stream_of(c.name));
          const Tensor x = filled({3, c.size.h, c.size.w, c.in}, bounds, fill, random);
          const Tensor weight = filled({c.out, c.kernel.h, c.kernel.w, each}, {-127, 127}, fill, random);
          const auto size = [](int64_t n, int64_t k, int64_t s, int64_t p, int64_t d, int64_t more) {
            return (n - 1) * s - 2 * p + d * (k - 1) + more + 1;
          };
          const ConvAttributes& a = c.conv;
          const Shape shape{3, size(c.size.h, c.kernel.h, a.stride.h, a.padding.h, a.dilation.h, c.added.h),
                            size(c.size.w, c.kernel.w, a.stride.w, a.padding.w, a.dilation.w, c.added.w), c.out};
          const auto geometry = ops::transposed_geometry(a, x.shape(), weight.shape(), shape);
          const Tensor expected = plain_transposed(geometry, x, weight);
          const IntegerWeights weights = integer_weights(weight, grid(bounds), false, "test", true);
          CHECK((weights.parts.size() > 1) == (c.name == "parts" && fill != Fill::random));
          const Requantizer r(*March::nash.datapath,
                              {std::vector<int32_t>(static_cast<size_t>(c.out), 3),
                               std::vector<Rescaling>(static_cast<size_t>(c.out), {12345, 1 << 26, 0, 1, 27}),
                               {}});
          const Tensor skip = filled(shape, {-128, 127}, fill, random);
          Tensor layer = Tensor::empty(shape, DType::int8);
          r.all(expected, skip, layer);
          for (const int count : {1, 2}) {
            set_threads(count);
            Tensor acc = Tensor::empty(shape, DType::int32), y = Tensor::empty(shape, DType::int8);
            integer_convolution(geometry, x, grid(bounds), weights, acc);
            CHECK_SAME(acc, expected);
            integer_layer(geometry, x, grid(bounds), weights, skip, r, y);
            CHECK_SAME(y, layer);
          }
          set_threads(before);
        }
  }

  TEST_CASE("negative extremes have no rounding either") {
    Random random(5);
    const Bounds bounds;
    const Tensor weight = filled({16, 3, 3, 512}, {-128, -100}, Fill::high, random);
    for (const Bounds range : {Bounds{-128, -126}, Bounds{126, 127}}) {
      const Tensor x = filled({1, 4, 4, 512}, range, Fill::random, random);
      const ConvAttributes conv{.padding = 1};
      const Shape shape{1, 4, 4, 16};
      const auto geometry = ops::geometry(conv, x.shape(), weight.shape(), shape);
      Tensor acc = Tensor::empty(shape, DType::int32);
      integer_convolution(geometry, x, Grid{1, bounds}, integer_weights(weight, Grid{1, bounds}, false, "test"), acc);
      CHECK_SAME(acc, plain_convolution(geometry, x, weight));
    }
  }

  TEST_CASE("convolutions of 16 bits have no rounding, from one end of the integers to the other") {
    // 32768 * 127 * 256 weights is just below 2^30, which leaves room for a bias.
    const Case cases[] = {
        {"first layer", 2, 9, 3, 16, {3, 3}, {.padding = 1}},
        {"3x3, as many weights as a march allows", 2, 6, 28, 17, {3, 3}, {.stride = 2, .padding = 1}},
        {"1x1, 256 channels", 1, 5, 256, 8, {1, 1}},
        {"3x3, dilation 2", 1, 9, 16, 5, {3, 3}, {.padding = 2, .dilation = 2}},
        {"depthwise", 2, 7, 19, 19, {3, 3}, {.padding = 1, .groups = 19}},
        {"grouped", 1, 6, 64, 32, {3, 3}, {.padding = 1, .groups = 4}},
        {"linear", 5, 1, 200, 10, {1, 1}},
    };
    const int before = threads();
    for (const Case& c : cases)
      for (const Bounds bounds : {Bounds{-32768, 32767}, Bounds{-32767, 32767}, Bounds{0, 32767}})
        for (const Fill fill : {Fill::random, Fill::high, Fill::mixed}) {
          CAPTURE(c.name);
          CAPTURE(bounds.low);
          CAPTURE(static_cast<int>(fill));
          Random random(static_cast<uint64_t>(fill) + 9, stream_of(c.name));
          const Tensor x = filled({c.batch, c.size, c.size, c.in}, bounds, fill, random);
          const Tensor weight =
              filled({c.out, c.kernel.h, c.kernel.w, c.in / c.conv.groups}, {-127, 127}, fill, random);
          const Shape shape = ops::conv2d_shape("test", c.conv, x.shape(), weight.shape(), nullptr);
          const auto geometry = ops::geometry(c.conv, x.shape(), weight.shape(), shape);
          const Tensor expected = plain_convolution(geometry, x, weight);
          // The same as a layer: to int8 with an int16 residual, and to int16 with an int8 one.
          std::vector<Tensor> layers;
          for (const bool wide : {false, true}) {
            const Tensor skip = filled(shape, wide ? Bounds{-128, 127} : bounds, Fill::random, random);
            Rescalings by{{}, {}, wide ? Bounds{-32768, 32767} : Bounds{0, 127}};
            for (int64_t o = 0; o < c.out; ++o) {
              by.bias.push_back(static_cast<int32_t>(random.below(2001) - 1000));
              by.by.push_back({1 + random.below(1 << 14), 1 << 26, 0, 1, wide ? 27 : 35});
            }
            const Requantizer r(*March::nash.datapath, by);
            layers.push_back(Tensor::empty(shape, wide ? DType::int16 : DType::int8));
            r.all(expected, skip, layers.back());
            Tensor y = Tensor::empty(shape, layers.back().dtype());
            integer_layer(geometry, x, grid(bounds), integer_weights(weight, grid(bounds), true, "test"), skip, r, y);
            CHECK_SAME(y, layers.back());
          }
          for (const int count : {1, 2}) {
            set_threads(count);
            Tensor acc = Tensor::empty(shape, DType::int32);
            integer_convolution(geometry, x, grid(bounds), integer_weights(weight, grid(bounds), false, "test"), acc);
            CHECK_SAME(acc, expected);
          }
          set_threads(before);
        }
  }

  TEST_CASE("a layer in slices is its convolution, requantised") {
    const Case cases[] = {
        {"several slices, the last smaller", 9, 32, 16, 16, {3, 3}, {.padding = 1}},
        {"two parts", 5, 16, 128, 8, {3, 3}, {.padding = 1}},
        {"depthwise", 5, 32, 32, 32, {3, 3}, {.stride = 2, .padding = 1, .groups = 32}},
        {"fewer slices than threads", 1, 8, 3, 5, {3, 3}},
    };
    const int before = threads();
    for (const Case& c : cases)
      for (const Bounds bounds : {Bounds{-128, 127}, Bounds{0, 127}})
        for (const bool skips : {false, true}) {
          CAPTURE(c.name);
          Random random(8, stream_of(c.name));
          const Tensor x = filled({c.batch, c.size, c.size, c.in}, bounds, Fill::mixed, random);
          const Tensor weight =
              filled({c.out, c.kernel.h, c.kernel.w, c.in / c.conv.groups}, {-128, 127}, Fill::mixed, random);
          const Shape shape = ops::conv2d_shape("test", c.conv, x.shape(), weight.shape(), nullptr);
          const auto geometry = ops::geometry(c.conv, x.shape(), weight.shape(), shape);
          const Tensor skip = skips ? filled(shape, {-128, 127}, Fill::random, random) : Tensor();
          Rescalings by{{}, {}, {-120, 127}};
          for (int64_t o = 0; o < c.out; ++o) {
            by.bias.push_back(static_cast<int32_t>(random.below(2001) - 1000));
            by.by.push_back({1 + random.below(1 << 14), 1 << 29, 0, 1, 30});
          }
          const Requantizer r(*March::nash.datapath, by);
          Tensor expected = Tensor::empty(shape, DType::int8);
          r.all(plain_convolution(geometry, x, weight), skip, expected);
          for (const int count : {1, 2}) {
            set_threads(count);
            Tensor y = Tensor::empty(shape, DType::int8);
            integer_layer(geometry, x, Grid{1, bounds}, integer_weights(weight, Grid{1, bounds}, count == 1, "test"),
                          skip, r, y);
            CHECK_SAME(y, expected);
          }
          set_threads(before);
        }
  }
}

TEST_CASE("weights that are kept give the same, also after they changed") {
  Random random(6);
  const Bounds bounds;
  const auto geometry = ops::geometry({.padding = 1}, {1, 5, 5, 16}, {8, 3, 3, 16}, {1, 5, 5, 8});
  const Tensor x = filled({1, 5, 5, 16}, bounds, Fill::random, random);
  Tensor weight = filled({8, 3, 3, 16}, bounds, Fill::random, random);
  for (int i = 0; i < 3; ++i) {
    const IntegerWeights kept = integer_weights(weight, Grid{1, bounds}, true, "test");
    Tensor acc = Tensor::empty({1, 5, 5, 8}, DType::int32);
    for (int again = 0; again < 2; ++again) integer_convolution(geometry, x, Grid{1, bounds}, kept, acc);
    CHECK_SAME(acc, plain_convolution(geometry, x, weight));
    weight.mutable_data<int8_t>()[i] = static_cast<int8_t>(weight.data<int8_t>()[i] / 2 + 1);
  }
}

TEST_CASE("an empty batch has no accumulators") {
  const auto geometry = ops::geometry({.padding = 1}, {0, 5, 5, 2}, {8, 3, 3, 2}, {0, 5, 5, 8});
  Tensor acc = Tensor::empty({0, 5, 5, 8}, DType::int32);
  const Tensor weight = Tensor::zeros({8, 3, 3, 2}, DType::int8);
  integer_convolution(geometry, Tensor::zeros({0, 5, 5, 2}, DType::int8), {},
                      integer_weights(weight, {}, false, "test"), acc);
  CHECK(acc.elements() == 0);
}

TEST_CASE("weights are cut into parts only where a sum could reach 2^24") {
  // 8 * 128 * 2^14 = 2^24 for x = -128.
  Tensor weight = Tensor::full({2, 1024}, 127, DType::int8);
  auto* w = weight.mutable_data<int8_t>();
  std::fill_n(w, 2048, static_cast<int8_t>(-128));
  CHECK(integer_weights(weight, {}, false, "test").parts.size() == 2);
  CHECK(integer_weights(weight, Grid{1, {0, 127}}, false, "test").parts.size() == 1);
  w[1500] = -127;
  w[3] = -127;
  CHECK(integer_weights(weight, {}, false, "test").parts.size() == 1);
  CHECK(integer_weights(weight, {}, false, "test").reach == (1 << 24) - 128);
}

TEST_CASE("the parts add up to the weights, and each is below 2^24") {
  Random random(7);
  for (const Bounds bounds : {Bounds{-128, 127}, Bounds{0, 127}, Bounds{0, 60}}) {
    for (const int64_t in : {700, 45}) {
      const int64_t kernel = in == 45 ? 12 : 3;  // 45: no 64 channels for each part
      const Tensor weight = filled({4, kernel, kernel, in}, {-128, 127}, Fill::mixed, random);
      const IntegerWeights cut = integer_weights(weight, Grid{1, bounds}, false, "test");
      CHECK(cut.parts.size() >= 2);
      CHECK((cut.width > 0) == (in == 700));
      const int64_t reach = std::max<int64_t>(-bounds.low, bounds.high), width = cut.width > 0 ? cut.width : in;
      std::vector<int> sum(static_cast<size_t>(weight.elements()));
      for (size_t p = 0; p < cut.parts.size(); ++p) {
        const Tensor& part = cut.parts[p];
        const int64_t first = cut.width > 0 ? static_cast<int64_t>(p) * width : 0, count = part.size(-1);
        CHECK(count == std::min(width, in - first));
        for (int64_t o = 0; o < 4; ++o) {
          int64_t total = 0;
          for (int64_t i = 0; i < kernel * kernel * count; ++i) {
            const int64_t row = o * kernel * kernel + i / count;
            const int value = part.data<int8_t>()[row * count + i % count];
            total += std::abs(value) * reach;
            sum[static_cast<size_t>(row * in + first + i % count)] += value;
          }
          CHECK(total < (1 << 24));
        }
      }
      CHECK(std::equal(sum.begin(), sum.end(), weight.data<int8_t>()));
    }
  }
}

TEST_CASE("an accumulator of 16 bits that 32 may not hold is an error") {
  Tensor weight = Tensor::full({2, 259}, 127, DType::int8);
  auto* w = weight.mutable_data<int8_t>();
  std::fill_n(w, 259, int8_t{126});
  w[258 + 259] = 2;  // 258 * 127 + 2 = 32768
  const Bounds whole{-32768, 32767};
  CHECK_ERROR(integer_weights(weight, grid(whole), false, "conv"),
              "conv: the accumulator of output channel 1 may reach 1073741824, expected at most 1073741823");
  w[258 + 259] = 1;
  CHECK(integer_weights(weight, grid(whole), false, "conv").reach == int64_t{32767} * 32768);
  CHECK(integer_weights(weight, grid(whole), false, "conv").parts.size() == 1);  // 255 at once stay below 2^24
  w[258 + 259] = 2;
  CHECK(integer_weights(weight, grid({0, 32767}), false, "conv").reach == int64_t{32768} * 32767);
}

TEST_CASE("an accumulator that 32 bits may not hold is an error") {
  // With |qb| <= 2^30, what is left is 2^30 - 1 = 8388607 * 128 + 127.
  const int64_t ones = 8388607 / 127;
  Tensor weight = Tensor::full({2, ones + 1}, 127, DType::int8);
  weight.mutable_data<int8_t>()[ones] = static_cast<int8_t>(8388607 - ones * 127);
  weight.mutable_data<int8_t>()[2 * ones + 1] = 0;
  CHECK(integer_weights(weight, {}, false, "head").reach == int64_t{8388607} * 128);
  weight.mutable_data<int8_t>()[2 * ones + 1] = 100;
  CHECK_ERROR(integer_weights(weight, {}, false, "head"),
              "head: the accumulator of output channel 1 may reach 1073754112, expected at most 1073741823 so that 32 "
              "bits hold it with its bias");
  CHECK(integer_weights(weight, Grid{1, {0, 127}}, false, "head").reach < (1 << 30));
  CHECK(integer_weights(weights_of({-128, 127}), Grid{1, {-5, 3}}, false, "head").reach == 255 * 5);
}
