#pragma once
// One operation as a network: what is a layer, its integers in VALIDATION against plain loops, and QAT against both.

#include <algorithm>
#include <cmath>
#include <functional>
#include <map>

#include "../../core/graph.h"
#include "../../quant/layers/list.h"
#include "networks.h"
#include "plain.h"

namespace sinter::test {

using Tensors = std::vector<Tensor>;

/// One operation as a network: its output is that of a layer of integers.
struct OneLayer : nn::Module {
  std::function<Tensor(const Tensors&)> f;
  explicit OneLayer(std::function<Tensor(const Tensors&)> function) : f(std::move(function)) {}
  SINTER_CHILDREN()
  std::vector<Tensor> forward_all(std::span<const Tensor> x) const override { return {f({x.begin(), x.end()})}; }
};

/// Integers, and the real number that each stands for.
struct Integers {
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

inline Integers integers_of(const Tensor& t, const quant::ActivationQuantizer& quantizer, const quant::March& march) {
  Integers p{
      t.shape(), {}, quantizer.scale(march), quantizer.bounds().low, quantizer.bounds().high, quantizer.config().bits};
  if (t.dtype() == DType::int16)
    for (const int16_t v : t.values<int16_t>()) p.q.push_back(v);
  else
    for (const int8_t v : t.values<int8_t>()) p.q.push_back(v);
  return p;
}

/// What a case knows of its network: the inputs, and y's shape, scale and bounds, whose integers it computes.
struct Case {
  std::vector<Integers> x;
  Integers y;
  plain::Path path;
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
  int64_t rescaled(int64_t acc, const plain::By& by) const { return path.apply(by, acc, 0, y.low, y.high); }
  int64_t sum(int64_t a, int64_t b, const plain::By& by) const { return path.apply(by, a, b, y.low, y.high); }
  // Two of the inputs, the second perhaps taken away.
  plain::By sum_of(const Integers& a, const Integers& b, bool minus) const {
    return path.sum(a.scale, minus ? -b.scale : b.scale, std::max(a.reach(), b.reach()), y.scale, y.bits,
                    std::max(a.bits, b.bits));
  }
  int64_t rounded(double v) const {
    v = std::nearbyint(v);
    return static_cast<int64_t>(std::fmin(std::fmax(v, static_cast<double>(y.low)), static_cast<double>(y.high)));
  }
};

using Expected = std::function<std::vector<int64_t>(const Case&)>;

struct LayerOptions {
  const quant::March* march = &quant::March::bayes;
  std::string dtype = "int8";
};

struct CheckOptions {
  bool int16 = true;   // whether 16 bits have a form, too
  bool differ = true;  // whether the integers are not all the same
  std::string path{};  // of what would be of high precision
};

/// Prepares a network of one layer for inputs of these shapes, with ranges that differ, and holds every integer of its
/// output to `expected`, in VALIDATION, and QAT to VALIDATION.
inline void check_layer(const nn::Module& net, const std::vector<Shape>& shapes, const Expected& expected,
                        const CheckOptions& how = {}) {
  const std::vector<LayerOptions> all{
      {&quant::March::bayes, "int8"},     {&quant::March::bayes, "int16"},    {&quant::March::bayes, "int4"},
      {&quant::March::bernoulli, "int8"}, {&quant::March::bernoulli, "int4"}, {&quant::March::bernoulli2, "int8"},
      {&quant::March::nash, "int8"},      {&quant::March::nash, "int16"},     {&quant::March::bernoulli2, "int4"}};
  for (const LayerOptions& o : all) {
    CAPTURE(o.march->name);
    CAPTURE(o.dtype);
    if (o.dtype == "int16" && !how.int16) continue;
    Tensors x;
    for (const Shape& shape : shapes) x.push_back(images(shape, x.size() + 1, 3));
    const auto qconfig = quant::get_default_qconfig({.activation_qkwargs = {{"dtype", o.dtype}}});
    quant::PrepareOptions options{.qconfig = qconfig, .march = *o.march};
    if (!how.path.empty()) options.by_path = {{how.path + ".activation", qconfig}};
    quant::PreparedModel model = quant::prepare_qat(net, x, options);
    set_ranges(model, 2.4f);
    model.set_state(quant::FakeQuantState::validation);
    std::map<std::string, Tensor> seen;
    const Tensor validated = model.inspect(x, [&](const std::string& name, const Tensor& q) { seen[name] = q; })[0];
    REQUIRE(seen.size() == x.size() + 1);

    Case c{{}, {}, plain::Path(o.march->name), o.march->power_of_two_scales};
    for (size_t i = 0; i < x.size(); ++i)
      c.x.push_back(integers_of(seen[model.input_name(i)], model.input_quantizer(i), *o.march));
    const Node& node = model.graph().nodes.back();
    const quant::ActivationQuantizer* own = model.node_quantizer(0);
    CHECK((own != nullptr) == quant::has_scale(model.graph(), node));
    c.y = integers_of(seen[node.name], own == nullptr ? model.input_quantizer(0) : *own, *o.march);
    const std::vector<int64_t> integers = expected(c);
    REQUIRE(integers.size() == c.y.q.size());
    int64_t differing = 0, first = 0;
    for (size_t i = 0; i < integers.size(); ++i) {
      differing += integers[i] != c.y.q[i];
      first += integers[i] == integers[0];
    }
    CHECK(differing == 0);
    if (how.differ) CHECK(first < static_cast<int64_t>(integers.size()));
    model.set_state(quant::FakeQuantState::qat);
    model.eval();
    CHECK_SAME(model(std::span<const Tensor>(x))[0].detach(), validated);
  }
}

inline void check_layer(const std::function<Tensor(const Tensors&)>& f, const std::vector<Shape>& shapes,
                        const Expected& expected, const CheckOptions& how = {}) {
  check_layer(OneLayer(f), shapes, expected, how);
}

inline const Shape kImage{2, 5, 6, 4}, kPixel{2, 1, 1, 4}, kColumn{2, 5, 1, 1};

/// Of a table: from a function of real numbers.
inline void check_table(const std::function<Tensor(const Tensor&)>& f, const std::function<double(double)>& real) {
  check_layer([&](const Tensors& x) { return f(x[0]); }, {kImage},
              [&](const Case& c) {
                return c.each([&](auto... at) {
                  return c.rounded(real(static_cast<double>(c.x[0].at(at...)) * c.x[0].scale) / c.y.scale);
                });
              });
}

/// The output's integers are those of the input at other places; `border` where there is none.
inline void check_moved(const std::function<Tensor(const Tensor&)>& f,
                        const std::function<int64_t(const Case&, int64_t n, int64_t h, int64_t w, int64_t c)>& from) {
  check_layer([&](const Tensors& x) { return f(x[0]); }, {kImage},
              [&](const Case& c) { return c.each([&](auto... at) { return from(c, at...); }); });
}

/// Axes of kImage that become one value, and how many values of each axis are one.
struct Reduction {
  std::vector<int64_t> axes;
  int64_t h, w, c;

  /// The integers that output (n,h,w,c) is made of.
  std::vector<int64_t> values(const Case& of, int64_t n, int64_t row, int64_t column, int64_t channel) const {
    std::vector<int64_t> all;
    for (int64_t i = 0; i < h; ++i)
      for (int64_t j = 0; j < w; ++j)
        for (int64_t k = 0; k < c; ++k) all.push_back(of.x[0].at(n, row + i, column + j, channel + k));
    return all;
  }
};
inline const std::vector<Reduction> kReductions{
    {{1, 2}, 5, 6, 1}, {{-1}, 1, 1, 4}, {{2}, 1, 6, 1}, {{1, 3}, 5, 1, 4}, {{1, 2, 3}, 5, 6, 4}};

/// Numbers by channel as integers on a scale of their own: 127 is the largest magnitude, or 32767 beside 16 bits.
inline Integers constant(const Tensor& numbers, const Case& c) {
  Integers p{{1, 1, 1, numbers.size(-1)}, {}, 1, -128, 127};
  p.bits = c.x[0].bits == 16 ? 16 : 8;
  p.high = p.bits == 16 ? 32767 : 127;
  p.low = -p.high - 1;
  float largest = 0;
  for (const float v : numbers.values<float>()) largest = std::fmax(largest, std::fabs(v));
  p.scale = static_cast<double>(largest / static_cast<float>(p.high));
  if (c.power_of_two) p.scale = std::exp2(std::ceil(std::log2(p.scale)));
  for (const float v : numbers.values<float>())
    p.q.push_back(std::llround(std::nearbyint(v * (1.0f / static_cast<float>(p.scale)))));
  return p;
}

}  // namespace sinter::test
