// The layers that are no convolutions, each alone: what is a layer, its integers in VALIDATION against plain loops, and
// QAT against both.

#include "../../quant/layers/list.h"

#include <numeric>

#include "../../core/graph.h"
#include "../../core/ops/avg_pool2d.h"
#include "../../core/ops/clamp.h"
#include "../../core/ops/concat.h"
#include "../../core/ops/exp.h"
#include "../../core/ops/gelu.h"
#include "../../core/ops/hardsigmoid.h"
#include "../../core/ops/hardswish.h"
#include "../../core/ops/leaky_relu.h"
#include "../../core/ops/matmul.h"
#include "../../core/ops/pad.h"
#include "../../core/ops/permute.h"
#include "../../core/ops/pixel_shuffle.h"
#include "../../core/ops/pow.h"
#include "../../core/ops/prelu.h"
#include "../../core/ops/reduce.h"
#include "../../core/ops/relu6.h"
#include "../../core/ops/resize.h"
#include "../../core/ops/sigmoid.h"
#include "../../core/ops/silu.h"
#include "../../core/ops/slice.h"
#include "../../core/ops/tanh.h"
#include "../../nn/layers/conv_transpose2d.h"
#include "../../nn/layers/dropout.h"
#include "../../nn/layers/prelu.h"
#include "float_qat.h"
#include "plain.h"

using namespace sinter;
using namespace sinter::quant;
using test::images;

namespace {

using Tensors = std::vector<Tensor>;

// One operation as a network: its output is that of a layer of integers.
struct OneLayer : nn::Module {
  std::function<Tensor(const Tensors&)> f;
  explicit OneLayer(std::function<Tensor(const Tensors&)> function) : f(std::move(function)) {}
  SINTER_CHILDREN()
  std::vector<Tensor> forward_all(std::span<const Tensor> x) const override { return {f({x.begin(), x.end()})}; }
};

// Integers, and the real number that each stands for.
struct Plain {
  Shape shape;
  std::vector<int64_t> q;
  double scale = 1;
  int64_t low = 0, high = 0;
  int bits = 8;

  int64_t reach() const { return std::max(-low, high); }
  int64_t at(int64_t n, int64_t h, int64_t w, int64_t c) const {
    const auto in = [&](int64_t i, int axis) { return shape[axis] == 1 ? 0 : i; };  // broadcast
    return q[static_cast<size_t>(((in(n, 0) * shape[1] + in(h, 1)) * shape[2] + in(w, 2)) * shape[3] + in(c, 3))];
  }
};

Plain plain(const Tensor& t, const ActivationQuantizer& quantizer, const March& march) {
  Plain p{
      t.shape(), {}, quantizer.scale(march), quantizer.bounds().low, quantizer.bounds().high, quantizer.config().bits};
  if (t.dtype() == DType::int16)
    for (const int16_t v : t.values<int16_t>()) p.q.push_back(v);
  else
    for (const int8_t v : t.values<int8_t>()) p.q.push_back(v);
  return p;
}

// What a case knows of its network: the inputs, and y's shape, scale and bounds, whose integers it computes.
struct Case {
  std::vector<Plain> x;
  Plain y;
  test::plain::Path path;
  bool power_of_two;

  template <class F>
  std::vector<int64_t> each(const F& f) const {
    std::vector<int64_t> all;
    for (int64_t n = 0; n < y.shape[0]; ++n)
      for (int64_t h = 0; h < y.shape[1]; ++h)
        for (int64_t w = 0; w < y.shape[2]; ++w)
          for (int64_t c = 0; c < y.shape[3]; ++c) all.push_back(f(n, h, w, c));
    return all;
  }
  int64_t rescaled(int64_t acc, const test::plain::By& by) const { return path.apply(by, acc, 0, y.low, y.high); }
  int64_t sum(int64_t a, int64_t b, const test::plain::By& by) const { return path.apply(by, a, b, y.low, y.high); }
  // Two of the inputs, the second perhaps taken away.
  test::plain::By sum_of(const Plain& a, const Plain& b, bool minus) const {
    return path.sum(a.scale, minus ? -b.scale : b.scale, std::max(a.reach(), b.reach()), y.scale, y.bits,
                    std::max(a.bits, b.bits));
  }
  int64_t rounded(double v) const {
    v = std::nearbyint(v);
    return static_cast<int64_t>(std::fmin(std::fmax(v, static_cast<double>(y.low)), static_cast<double>(y.high)));
  }
};

using Expected = std::function<std::vector<int64_t>(const Case&)>;

struct Options {
  const March* march = &March::bayes;
  std::string dtype = "int8";
};

struct CheckOptions {
  bool int16 = true;   // whether 16 bits have a form, too
  bool differ = true;  // whether the integers are not all the same
};

// Prepares f of inputs of these shapes, with ranges that differ, and holds every integer of its output to `expected`,
// in VALIDATION, and QAT to VALIDATION.
void check_layer(const std::function<Tensor(const Tensors&)>& f, const std::vector<Shape>& shapes,
                 const Expected& expected, const CheckOptions& how = {}) {
  const std::vector<Options> all{
      {&March::bayes, "int8"},     {&March::bayes, "int16"},    {&March::bayes, "int4"},
      {&March::bernoulli, "int8"}, {&March::bernoulli, "int4"}, {&March::bernoulli2, "int8"},
      {&March::nash, "int8"},      {&March::nash, "int16"},     {&March::bernoulli2, "int4"}};
  for (const Options& o : all) {
    CAPTURE(o.march->name);
    CAPTURE(o.dtype);
    if (o.dtype == "int16" && !how.int16) continue;
    Tensors x;
    for (const Shape& shape : shapes) x.push_back(images(shape, x.size() + 1, 3));
    PreparedModel model =
        prepare_qat(OneLayer(f), x,
                    {.qconfig = get_default_qconfig({.activation_qkwargs = {{"dtype", o.dtype}}}), .march = *o.march});
    test::set_ranges(model, 2.4f);
    model.set_state(FakeQuantState::validation);
    std::map<std::string, Tensor> seen;
    const Tensor validated = model.inspect(x, [&](const std::string& name, const Tensor& q) { seen[name] = q; })[0];
    REQUIRE(seen.size() == x.size() + 1);

    Case c{{}, {}, test::plain::Path(o.march->name), o.march->power_of_two_scales};
    for (size_t i = 0; i < x.size(); ++i)
      c.x.push_back(plain(seen[model.input_name(i)], model.input_quantizer(i), *o.march));
    const Node& node = model.graph().nodes.back();
    const ActivationQuantizer* own = model.node_quantizer(0);
    CHECK((own != nullptr) == has_scale(model.graph(), node));
    c.y = plain(seen[node.name], own == nullptr ? model.input_quantizer(0) : *own, *o.march);
    const std::vector<int64_t> integers = expected(c);
    REQUIRE(integers.size() == c.y.q.size());
    int64_t differing = 0, first = 0;
    for (size_t i = 0; i < integers.size(); ++i) {
      differing += integers[i] != c.y.q[i];
      first += integers[i] == integers[0];
    }
    CHECK(differing == 0);
    if (how.differ) CHECK(first < static_cast<int64_t>(integers.size()));
    model.set_state(FakeQuantState::qat);
    model.eval();
    CHECK_SAME(model(std::span<const Tensor>(x))[0].detach(), validated);
  }
}

// All layers of this file and transposed convolutions, between others.
struct Deployed : nn::Module {
  nn::Conv2d stem{{.in = 3, .out = 8, .kernel = 3, .padding = 1}};
  nn::Conv2d squeeze{{.in = 8, .out = 4, .kernel = 1}}, excite{{.in = 4, .out = 8, .kernel = 1}};
  nn::Conv2d down{{.in = 8, .out = 8, .kernel = 3, .stride = 2, .padding = 1}};
  nn::PReLU act{{.channels = 8}};
  nn::Dropout dropout;
  nn::ConvTranspose2d up{{.in = 8, .out = 8, .kernel = 4, .stride = 2, .padding = 1}};
  nn::ConvTranspose2d grouped{{.in = 8, .out = 4, .kernel = {2, 3}, .stride = {1, 2}, .dilation = {2, 1}, .groups = 2}};
  nn::BatchNorm2d bn{8};
  nn::Conv2d wide{{.in = 14, .out = 16, .kernel = 1}};
  nn::Linear head{{.in = 4, .out = 5}};
  SINTER_CHILDREN(stem, squeeze, excite, down, act, dropout, up, grouped, bn, wide, head)

  Tensor forward(const Tensor& x) const override {
    Tensor first = hardswish(stem(x));
    first = first * hardsigmoid(excite(relu(squeeze(mean(first, {1, 2}, true)))));
    const Tensor small = dropout(act(down(first)));
    const Tensor large = relu(bn(up(small)) + first);
    const auto parts = split(large, {.sizes = {3, 5}});
    const Tensor part = silu(slice(parts[1], {.begin = 1, .end = -1})) - tanh(parts[0]);
    const Tensor both = concat({part, resize_bilinear(small, 2), sigmoid(part)});
    const Tensor means = leaky_relu(avg_pool2d(both, {.kernel = 2}), {.negative_slope = 0.125});
    const Tensor shuffled = pixel_shuffle(wide(means), {.upscale = 2});
    const Tensor padded = pad(shuffled, {.before = {0, 0, 1, 0}, .after = {0, 0, 0, 0}, .value = -0.25});
    const Tensor rows = slice(padded, {.axis = 1, .begin = 1, .end = 7});
    return head(mean(rows + grouped(small), {1, 2}));
  }
};

const Shape kImage{2, 5, 6, 4}, kPixel{2, 1, 1, 4}, kColumn{2, 5, 1, 1};

// Of a table: from a function of real numbers.
void check_table(const std::function<Tensor(const Tensor&)>& f, const std::function<double(double)>& real) {
  check_layer([&](const Tensors& x) { return f(x[0]); }, {kImage},
              [&](const Case& c) {
                return c.each([&](auto... at) {
                  return c.rounded(real(static_cast<double>(c.x[0].at(at...)) * c.x[0].scale) / c.y.scale);
                });
              });
}

// The output's integers are those of the input at other places; `border` where there is none.
void check_moved(const std::function<Tensor(const Tensor&)>& f,
                 const std::function<int64_t(const Case&, int64_t n, int64_t h, int64_t w, int64_t c)>& from) {
  check_layer([&](const Tensors& x) { return f(x[0]); }, {kImage},
              [&](const Case& c) { return c.each([&](auto... at) { return from(c, at...); }); });
}

}  // namespace

TEST_CASE("a sum and a difference, of one shape and of several, are rounded once") {
  for (const bool minus : {false, true})
    for (const auto& shapes :
         std::vector<std::vector<Shape>>{{kImage, kImage}, {kImage, kPixel}, {kColumn, kImage}, {kColumn, kPixel}})
      check_layer([&](const Tensors& x) { return minus ? x[0] - x[1] : x[0] + x[1]; }, shapes,
                  [&](const Case& c) {
                    const auto by = c.sum_of(c.x[0], c.x[1], minus);
                    CHECK(c.x[1].scale >= c.x[0].scale);
                    return c.each([&](auto... at) { return c.sum(c.x[0].at(at...), c.x[1].at(at...), by); });
                  });
  // The same with the larger scale in front.
  check_layer([&](const Tensors& x) { return x[1] - x[0]; }, {kImage, kPixel},
              [&](const Case& c) {
                const auto by = c.sum_of(c.x[1], c.x[0], true);
                return c.each([&](auto... at) { return c.sum(c.x[1].at(at...), c.x[0].at(at...), by); });
              });
}

TEST_CASE("a product is exact before it is rounded, also where it broadcasts") {
  for (const auto& shapes :
       std::vector<std::vector<Shape>>{{kImage, kImage}, {kImage, kPixel}, {kPixel, kImage}, {kPixel, kColumn}})
    check_layer([&](const Tensors& x) { return x[0] * x[1]; }, shapes,
                [&](const Case& c) {
                  return c.each([&](auto... at) {
                    return c.rescaled(c.x[0].at(at...) * c.x[1].at(at...),
                                      c.path.accumulator(c.x[0].scale * c.x[1].scale, c.y.scale, c.y.bits));
                  });
                });
  check_layer([&](const Tensors& x) { return x[0] * x[0]; }, {kImage},
              [&](const Case& c) {
                return c.each([&](auto... at) {
                  return c.rescaled(c.x[0].at(at...) * c.x[0].at(at...),
                                    c.path.accumulator(c.x[0].scale * c.x[0].scale, c.y.scale, c.y.bits));
                });
              });
}

TEST_CASE("a sum, difference, product or quotient with numbers reads them as integers of their own scale") {
  const Tensor numbers = Tensor::from({4}, {0.5f, -2, 1.25f, 0.01f});
  // 127 is the largest magnitude, or 32767 beside 16 bits.
  const auto constant = [&](const Case& c) {
    Plain p{{1, 1, 1, 4}, {}, 1, -128, 127};
    p.bits = c.x[0].bits == 16 ? 16 : 8;
    p.high = p.bits == 16 ? 32767 : 127;
    p.low = -p.high - 1;
    p.scale = static_cast<double>(2.0f / static_cast<float>(p.high));
    if (c.power_of_two) p.scale = std::exp2(std::ceil(std::log2(p.scale)));
    for (const float v : numbers.values<float>())
      p.q.push_back(std::llround(std::nearbyint(v * (1.0f / static_cast<float>(p.scale)))));
    return p;
  };
  for (const bool minus : {false, true})
    for (const bool first : {false, true}) {
      CAPTURE(minus);
      CAPTURE(first);
      check_layer(
          [&](const Tensors& x) {
            return first ? (minus ? numbers - x[0] : numbers + x[0]) : (minus ? x[0] - numbers : x[0] + numbers);
          },
          {kImage},
          [&](const Case& c) {
            const Plain k = constant(c), &a = first ? k : c.x[0], &b = first ? c.x[0] : k;
            const auto by = c.sum_of(a, b, minus);
            return c.each([&](auto... at) { return c.sum(a.at(at...), b.at(at...), by); });
          });
    }
  check_layer([&](const Tensors& x) { return x[0] * numbers; }, {kImage},
              [&](const Case& c) {
                const Plain k = constant(c);
                const auto by = c.path.accumulator(c.x[0].scale * k.scale, c.y.scale, c.y.bits);
                return c.each([&](auto... at) { return c.rescaled(c.x[0].at(at...) * k.at(at...), by); });
              });
  // A quotient is the product with the reciprocals, which are these numbers.
  const Tensor divisors = Tensor::from({4}, {2, -0.5f, 0.8f, 100});
  check_layer([&](const Tensors& x) { return x[0] / divisors; }, {kImage},
              [&](const Case& c) {
                const Plain k = constant(c);
                const auto by = c.path.accumulator(c.x[0].scale * k.scale, c.y.scale, c.y.bits);
                return c.each([&](auto... at) { return c.rescaled(c.x[0].at(at...) * k.at(at...), by); });
              });
}

TEST_CASE("the mean of each window is rounded once, for every count of values") {
  for (const AvgPoolAttributes& a :
       {AvgPoolAttributes{.kernel = 2},
        AvgPoolAttributes{
            .kernel = Pair{3, 2}, .stride = 2, .padding = 1, .ceil_mode = true, .count_include_pad = false},
        AvgPoolAttributes{.kernel = 3, .stride = 2, .padding = 1, .ceil_mode = true},
        AvgPoolAttributes{.kernel = Pair{5, 6}}})
    check_layer([&](const Tensors& x) { return avg_pool2d(x[0], a); }, {kImage},
                [&](const Case& c) {
                  const Pair kernel = a.kernel, stride = a.stride == Pair{0} ? kernel : a.stride;
                  return c.each([&](int64_t n, int64_t h, int64_t w, int64_t channel) {
                    int64_t sum = 0, count = 0;
                    for (int64_t y = h * stride.h - a.padding.h; y < h * stride.h - a.padding.h + kernel.h; ++y)
                      for (int64_t x = w * stride.w - a.padding.w; x < w * stride.w - a.padding.w + kernel.w; ++x) {
                        const bool inside = y >= 0 && y < 5 && x >= 0 && x < 6;
                        if (inside) sum += c.x[0].at(n, y, x, channel);
                        count += inside || (a.count_include_pad && y < 5 + a.padding.h && x < 6 + a.padding.w);
                      }
                    return c.rescaled(sum, c.path.mean(c.x[0].scale, count, c.y.scale, c.y.bits));
                  });
                });
}

TEST_CASE("means, sums and extremes over any axes but the batch's") {
  struct Axes {
    std::vector<int64_t> axes;
    int64_t h, w, c;  // how many values of each are one
  };
  for (const Axes& a :
       {Axes{{1, 2}, 5, 6, 1}, {{-1}, 1, 1, 4}, {{2}, 1, 6, 1}, {{1, 3}, 5, 1, 4}, {{1, 2, 3}, 5, 6, 4}}) {
    CAPTURE(a.axes);
    const auto values = [&](const Case& c, int64_t n, int64_t h, int64_t w, int64_t k) {
      std::vector<int64_t> all;
      for (int64_t i = 0; i < a.h; ++i)
        for (int64_t j = 0; j < a.w; ++j)
          for (int64_t l = 0; l < a.c; ++l) all.push_back(c.x[0].at(n, h + i, w + j, k + l));
      return all;
    };
    const auto total = [&](const std::vector<int64_t>& all) {
      return std::accumulate(all.begin(), all.end(), int64_t{0});
    };
    check_layer([&](const Tensors& x) { return mean(x[0], a.axes, true); }, {kImage},
                [&](const Case& c) {
                  const auto by = c.path.mean(c.x[0].scale, a.h * a.w * a.c, c.y.scale, c.y.bits);
                  return c.each([&](auto... at) { return c.rescaled(total(values(c, at...)), by); });
                },
                {.differ = a.axes.size() < 3});
    check_layer([&](const Tensors& x) { return sum(x[0], a.axes, true); }, {kImage},
                [&](const Case& c) {
                  const auto by = c.path.accumulator(c.x[0].scale, c.y.scale, c.y.bits);
                  return c.each([&](auto... at) { return c.rescaled(total(values(c, at...)), by); });
                },
                {.differ = a.axes.size() < 3});
    check_layer([&](const Tensors& x) { return max(x[0], a.axes, true); }, {kImage},
                [&](const Case& c) {
                  return c.each([&](auto... at) {
                    const auto all = values(c, at...);
                    return *std::max_element(all.begin(), all.end());
                  });
                },
                {.differ = a.axes.size() < 2});
    check_layer([&](const Tensors& x) { return min(x[0], a.axes, true); }, {kImage},
                [&](const Case& c) {
                  return c.each([&](auto... at) {
                    const auto all = values(c, at...);
                    return *std::min_element(all.begin(), all.end());
                  });
                },
                {.differ = a.axes.size() < 2});
  }
}

TEST_CASE("axes but the batch's change places") {
  check_moved(
      [](const Tensor& x) {
        return permute(x, {0, 3, 1, 2});
      },
      [](const Case& c, auto n, auto h, auto w, auto k) { return c.x[0].at(n, w, k, h); });
  check_moved(
      [](const Tensor& x) {
        return transpose(x, {1, -2});
      },
      [](const Case& c, auto n, auto h, auto w, auto k) { return c.x[0].at(n, w, h, k); });
}

TEST_CASE("products of matrices are exact before they are rounded") {
  for (const bool a : {false, true})
    for (const bool b : {false, true})
      check_layer([&](const Tensors& x) { return matmul(x[0], x[1], {.transpose_a = a, .transpose_b = b}); },
                  {a ? Shape{2, 5, 4, 6} : Shape{2, 5, 6, 4}, b ? Shape{2, 1, 3, 4} : Shape{2, 1, 4, 3}},
                  [&](const Case& c) {
                    const auto by = c.path.accumulator(c.x[0].scale * c.x[1].scale, c.y.scale, c.y.bits);
                    return c.each([&](int64_t n, int64_t h, int64_t row, int64_t column) {
                      int64_t sum = 0;
                      for (int64_t k = 0; k < 4; ++k)
                        sum +=
                            c.x[0].at(n, h, a ? k : row, a ? row : k) * c.x[1].at(n, h, b ? column : k, b ? k : column);
                      return c.rescaled(sum, by);
                    });
                  },
                  {.int16 = false});
}

TEST_CASE("each input of a concatenation is rescaled once") {
  check_layer(
      [](const Tensors& x) {
        return concat({x[0], x[1], x[0]});
      },
      {kImage, {2, 5, 6, 3}},
      [](const Case& c) {
        return c.each([&](int64_t n, int64_t h, int64_t w, int64_t channel) {
          const Plain& from = c.x[channel >= 4 && channel < 7 ? 1 : 0];
          return c.rescaled(from.at(n, h, w,
                                    channel < 4   ? channel
                                    : channel < 7 ? channel - 4
                                                  : channel - 7),
                            c.path.narrow(from.scale, c.y.scale, c.y.bits));
        });
      });
  check_layer(
      [](const Tensors& x) {
        return concat({x[0], x[1]}, 1);
      },
      {kImage, {2, 3, 6, 4}},
      [](const Case& c) {
        return c.each([&](int64_t n, int64_t h, int64_t w, int64_t channel) {
          const Plain& from = c.x[h < 5 ? 0 : 1];
          return c.rescaled(from.at(n, h < 5 ? h : h - 5, w, channel), c.path.narrow(from.scale, c.y.scale, c.y.bits));
        });
      });
}

TEST_CASE("an operation of one value is a table of its values in double") {
  const auto hinge = [](double v) { return std::fmin(std::fmax(v + 3, 0), 6); };
  check_table([](const Tensor& x) { return sigmoid(x); }, [](double v) { return 1 / (1 + std::exp(-v)); });
  check_table([](const Tensor& x) { return silu(x); }, [](double v) { return v / (1 + std::exp(-v)); });
  check_table([](const Tensor& x) { return tanh(x); }, [](double v) { return std::tanh(v); });
  check_table([](const Tensor& x) { return hardsigmoid(x); }, [&](double v) { return hinge(v) / 6; });
  check_table([](const Tensor& x) { return hardswish(x); }, [&](double v) { return v * hinge(v) / 6; });
  check_table([](const Tensor& x) { return leaky_relu(x, {.negative_slope = 0.3}); },
              [](double v) { return v < 0 ? v * 0.3 : v; });
  check_table([](const Tensor& x) { return hardsigmoid(x, {.slope = 0.25, .offset = 0.75}); },
              [](double v) { return std::fmin(std::fmax(v + 3, 0), 4) / 4; });
  check_table([](const Tensor& x) { return exp(x); }, [](double v) { return std::exp(v); });
  check_table([](const Tensor& x) { return gelu(x); },
              [](double v) { return v * (1 + std::erf(v / std::sqrt(2.0))) / 2; });
  check_table([](const Tensor& x) { return clamp(x, {.min = -0.5, .max = 1.25}); },
              [](double v) { return std::fmin(std::fmax(v, -0.5), 1.25); });
  check_table([](const Tensor& x) { return square(x); }, [](double v) { return std::pow(v, 2.0); });
}

TEST_CASE("arithmetic with a number is a table, too") {
  check_table([](const Tensor& x) { return x * 1.5; }, [](double v) { return v * 1.5; });
  check_table([](const Tensor& x) { return 0.25 - x; }, [](double v) { return 0.25 - v; });
  check_table([](const Tensor& x) { return x + 1.0; }, [](double v) { return v + 1; });
  check_table([](const Tensor& x) { return x / 3.0; }, [](double v) { return v / 3; });
  check_table([](const Tensor& x) { return maximum(x, 0.3); }, [](double v) { return std::fmax(v, double{0.3f}); });
}

TEST_CASE("operations of one value and numbers that follow one another are one table, rounded once") {
  const auto hinge = [](double v) { return std::fmin(std::fmax(v + 3, 0), 6); };
  check_table([](const Tensor& x) { return maximum(leaky_relu(x, {.negative_slope = 0.3}), -0.4); },
              [](double v) { return std::fmax(v < 0 ? v * 0.3 : v, double{-0.4f}); });
  check_table([](const Tensor& x) { return hardswish(x) * 0.75 - 0.125; },
              [&](double v) { return v * hinge(v) / 6 * 0.75 - 0.125; });
  check_table([](const Tensor& x) { return relu(x * 0.5); }, [](double v) { return std::fmax(v * 0.5, 0); });
  // Spelled out, as exporters do: x is read twice.
  check_table([](const Tensor& x) { return x * sigmoid(x); }, [](double v) { return v * (1 / (1 + std::exp(-v))); });
  check_table([](const Tensor& x) { return x * relu6(x + 3.0) / 6.0; }, [&](double v) { return v * hinge(v) / 6; });
  check_table([](const Tensor& x) { return 0.5 * x * (1.0 + tanh((x + pow(x, 3.0) * 0.5) * 0.75)); },
              [](double v) { return 0.5 * v * (1 + std::tanh((v + std::pow(v, 3.0) * 0.5) * 0.75)); });
  check_table([](const Tensor& x) { return 1.0 / (exp(-x) + 1.0); },
              [](double v) { return 1 / (std::exp(v * -1) + 1); });
}

TEST_CASE("what the qconfigs tell apart is no chain") {
  const OneLayer net([](const Tensors& x) { return tanh(sigmoid(x[0] * 0.5)); });
  const Tensor x = Tensor::zeros({1, 2, 2, 3});
  const auto names = [&](const PrepareOptions& options) {
    std::vector<std::string> all;
    const auto model = prepare_qat(net, x, options);
    for (const Node& node : model.graph().nodes) all.push_back(node.name);
    return all;
  };
  using Names = std::vector<std::string>;
  CHECK(names({}) == Names{"tanh"});
  const auto model = prepare_qat(net, x);
  CHECK(model.graph().nodes[0].aliases == Names{"mul", "sigmoid"});
  CHECK(names({.by_path = {{"sigmoid", run_in_float()}}}) == Names{"mul", "sigmoid", "tanh"});
  CHECK(names({.by_type = {{"tanh", get_default_qconfig({.activation_observer = "mse"})}}}) ==
        Names{"sigmoid", "tanh"});
  CHECK(names({.by_path = {{"mul.activation", get_default_qconfig({.activation_observer = "mse"})}}}) ==
        Names{"mul", "tanh"});
  CHECK(names({.by_path = {{"tanh", get_default_qconfig({.activation_observer = "mse"})},
                           {"sigmoid", get_default_qconfig({.activation_observer = "mse"})}}}) ==
        Names{"mul", "sigmoid", "tanh"});
}

TEST_CASE("a divisor of zero has no integers") {
  const Tensor divisors = Tensor::from({3}, {1, 0, 2});
  auto model = prepare_qat(OneLayer([&](const Tensors& x) { return x[0] / divisors; }), Tensor::zeros({1, 2, 2, 3}));
  test::set_ranges(model, 2.4f);
  model.set_state(FakeQuantState::validation);
  CHECK_ERROR(model(Tensor::full({1, 2, 2, 3}, 1)),
              "div: its constant operand: the divisor has a zero, whose reciprocal is no number");
}

TEST_CASE("PReLU has a multiplier for each channel's negative values") {
  for (const Tensor& slopes : {Tensor::from({4}, {0.25f, -0.7f, 0, 3}), Tensor::from({1}, {0.3f})}) {
    check_layer([&](const Tensors& x) { return prelu(x[0], slopes); }, {kImage},
                [&](const Case& c) {
                  return c.each([&](int64_t n, int64_t h, int64_t w, int64_t channel) {
                    const double slope =
                        slopes.values<float>()[slopes.elements() == 1 ? 0 : static_cast<size_t>(channel)];
                    const Plain& x = c.x[0];
                    const auto by = c.path.sum(x.scale, x.scale * slope, x.reach(), c.y.scale, c.y.bits, x.bits);
                    const int64_t q = x.at(n, h, w, channel);
                    return c.sum(std::max<int64_t>(q, 0), std::min<int64_t>(q, 0), by);
                  });
                });
  }
}

TEST_CASE("slices, borders, shuffled pixels and nearest pixels are integers as they were") {
  check_moved([](const Tensor& x) { return slice(x, {.begin = 1, .step = 2}); },
              [](const Case& c, auto n, auto h, auto w, auto k) { return c.x[0].at(n, h, w, 1 + 2 * k); });
  check_moved([](const Tensor& x) { return slice(x, {.axis = 1, .begin = -3, .end = -1}); },
              [](const Case& c, auto n, auto h, auto w, auto k) { return c.x[0].at(n, h + 2, w, k); });
  check_moved(
      [](const Tensor& x) {
        return pad(x, {.before = {0, 1, 0, 2}, .after = {0, 0, 3, 0}, .value = 1.1});
      },
      [](const Case& c, int64_t n, int64_t h, int64_t w, int64_t k) {
        if (h >= 1 && w < 6 && k >= 2) return c.x[0].at(n, h - 1, w, k - 2);
        return c.rounded(1.1f * (1.0f / static_cast<float>(c.x[0].scale)));
      });
  check_moved([](const Tensor& x) { return pixel_shuffle(x, {.upscale = 2}); },
              [](const Case& c, auto n, auto h, auto w, auto k) {
                return c.x[0].at(n, h / 2, w / 2, (k * 2 + h % 2) * 2 + w % 2);
              });
  check_moved(
      [](const Tensor& x) {
        return resize_nearest(x, {2, 1.5});
      },
      [](const Case& c, auto n, auto h, auto w, auto k) { return c.x[0].at(n, h / 2, w * 2 / 3, k); });
}

TEST_CASE("bilinear resizing is rounded once, and exact in its weights for factors of 2 and 4") {
  for (const int64_t factor : {2, 4})
    check_moved([&](const Tensor& x) { return resize_bilinear(x, static_cast<double>(factor)); },
                [&](const Case& c, int64_t n, int64_t h, int64_t w, int64_t k) {
                  // Everything in units of 1 / (2 factor) of a pixel: integers throughout.
                  const auto along = [&](int64_t i, int64_t size, int64_t& low, int64_t& high) {
                    const int64_t u = std::max<int64_t>(2 * i + 1 - factor, 0);
                    low = u / (2 * factor);
                    high = std::min(low + 1, size - 1);
                    return u % (2 * factor);
                  };
                  int64_t top, bottom, left, right;
                  const int64_t down = along(h, 5, top, bottom), across = along(w, 6, left, right), one = 2 * factor;
                  const int64_t sum =
                      (one - down) *
                          ((one - across) * c.x[0].at(n, top, left, k) + across * c.x[0].at(n, top, right, k)) +
                      down * ((one - across) * c.x[0].at(n, bottom, left, k) + across * c.x[0].at(n, bottom, right, k));
                  return c.path.shifted(sum, factor == 2 ? 4 : 6);
                });
}

TEST_CASE("what cannot be negative is known through all layers") {
  const auto negative = [](const std::function<Tensor(const Tensor&)>& f) -> bool {
    const Graph graph =
        prepare_qat(OneLayer([&](const Tensors& x) { return f(x[0]); }), Tensor::zeros({1, 4, 4, 4})).graph();
    return may_be_negative(graph).back();
  };
  for (const bool known : {true, false}) {
    CAPTURE(known);
    const auto of = [&](const Tensor& x) { return known ? sigmoid(x) : x; };
    const std::vector<std::function<Tensor(const Tensor&)>> pass{
        [&](const Tensor& x) { return of(x) + of(x); },
        [&](const Tensor& x) { return of(x) * of(x); },
        [&](const Tensor& x) { return silu(of(x)); },
        [&](const Tensor& x) { return hardswish(of(x)); },
        [&](const Tensor& x) { return tanh(of(x)); },
        [&](const Tensor& x) { return leaky_relu(of(x)); },
        [&](const Tensor& x) { return prelu(of(x), Tensor::full({1}, -1)); },
        [&](const Tensor& x) {
          return concat({of(x), relu(x)});
        },
        [&](const Tensor& x) { return avg_pool2d(of(x), {.kernel = 2}); },
        [&](const Tensor& x) { return resize_bilinear(pixel_shuffle(slice(of(x), {.end = 4}), {.upscale = 2}), 2); },
        [&](const Tensor& x) {
          return pad(of(x), {.before = {0, 1, 0, 0}, .value = 1});
        }};
    for (size_t i = 0; i < pass.size(); ++i) {
      CAPTURE(i);
      CHECK(negative(pass[i]) == !known);
    }
  }
  CHECK_FALSE(negative([](const Tensor& x) { return hardsigmoid(x); }));
  CHECK(negative([](const Tensor& x) { return relu(x) - relu(x); }));
  CHECK(negative([](const Tensor& x) { return pad(relu(x), {.before = {0, 1, 0, 0}, .value = -1}); }));
}

TEST_CASE("a border may be beyond what the image holds, but not beyond the type") {
  const auto bounds = [](const Bounds& image, int bits, double value) {
    Node node;
    node.op = std::make_shared<ops::Pad>(PadAttributes{.value = value});
    const Graph graph;
    const std::vector<Grid> x{{0.5f, image, storage_of(type_bounds(bits)), bits}};
    const Arithmetic march(March::bayes);
    Instruction step;
    step.op = node.op;
    Grid y;
    layer_named("pad").lower({graph, node, x, march}, step, y);
    return y.bounds;
  };
  CHECK(bounds({0, 127}, 8, 1) == Bounds{0, 127});
  CHECK(bounds({0, 12}, 8, 10) == Bounds{0, 20});
  CHECK(bounds({0, 127}, 8, -3) == Bounds{-6, 127});
  CHECK(bounds({0, 127}, 8, -INFINITY) == Bounds{-128, 127});
  CHECK(bounds({-32768, 32767}, 16, 1e9) == Bounds{-32768, 32767});
  CHECK(bounds({0, 15}, 4, -3) == Bounds{0, 15});
  CHECK(bounds({0, 7}, 4, -3) == Bounds{-6, 7});
}

TEST_CASE("sums that 32 bits may not hold are refused by their layer's name") {
  PreparedModel model = prepare_qat(OneLayer([](const Tensors& x) {
                                      return avg_pool2d(x[0], {.kernel = {256, 128}});
                                    }),
                                    Tensor::zeros({1, 256, 128, 1}),
                                    {.qconfig = get_default_qconfig({.activation_qkwargs = {{"dtype", "int16"}}})});
  test::set_ranges(model);
  model.set_state(FakeQuantState::validation);
  CHECK_ERROR(model(Tensor::zeros({1, 256, 128, 1})),
              "avg_pool2d: the mean: adds 32768 values of int16, which could overflow 32 bits");
}

TEST_CASE("every layer has the values and gradients of a float network with fake quantisation") {
  Deployed net = test::randomized(Deployed{}, 3);
  for (int i = 0; i < 8; ++i) net.act.weight.tensor().mutable_data<float>()[i] = 0.25f * static_cast<float>(i - 2);
  PreparedModel model = prepare_qat(net, Tensor::zeros({1, 8, 8, 3}), {.march = test::kExact});
  test::set_ranges(model, 1.3f);
  model.eval();
  test::check_against_float(model, images({2, 8, 8, 3}, 21, 1.2));
}
