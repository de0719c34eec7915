#pragma once
// VALIDATION once more: a slow interpreter that recomputes every integer of a prepared model from its public state,
// its observed ranges and its march, by SPEC.md alone. It uses nothing of the integer contract.

#include <cmath>
#include <map>
#include <string>
#include <vector>

#include "../../quant/prepare.h"
#include "plain.h"

namespace sinter::test {

class Interpreter {
 public:
  struct Value {
    Shape shape;
    std::vector<int64_t> q;
    float scale = 0;  // 0: a head's accumulators
    int64_t low = -128, high = 127;
  };

  explicit Interpreter(const quant::PreparedModel& model)
      : model_(model),
        march_(model.march()),
        path_(march_.name),
        half_up_(march_.rounding == quant::Rounding::half_up) {}

  /// By node, inputs included.
  std::map<std::string, Value> run(const Tensor& x) {
    const Graph& graph = model_.graph();
    std::map<std::string, Value> all;
    Value input{x.shape(), {}, scale_of(model_.input_quantizer(0).range())};
    const float inverse = 1.0f / input.scale;
    for (const float v : x.values<float>()) input.q.push_back(quantized(v * inverse, -128, 127));
    std::vector<Value> values(graph.nodes.size());
    const auto value = [&](const Operand& o) -> const Value& {
      return o.kind == Operand::Kind::input ? input : values[static_cast<size_t>(o.index)];
    };
    for (size_t i = 0; i < graph.nodes.size(); ++i) {
      const Node& node = graph.nodes[i];
      const std::string_view op = node.op->name();
      const Value& in = value(node.inputs[0]);
      const auto* quantizer = model_.node_quantizer(i);
      const float y_scale = quantizer == nullptr ? 0 : scale_of(quantizer->range());
      Value y{node.outputs[0].shape.with(0, x.size(0)), {}, y_scale};
      if (op == "conv2d" || op == "linear")
        convolve(node, in, node.inputs.size() == 4 ? &value(node.inputs[3]) : nullptr, y);
      else if (op == "add")
        add(in, value(node.inputs[1]), y);
      else if (op == "mean")
        mean(in, y);
      else
        move(op, in, y);
      all[node.name] = y;
      values[i] = std::move(y);
    }
    all[model_.input_quantizer(0).name()] = std::move(input);
    return all;
  }

 private:
  int64_t rounded(double v) const { return static_cast<int64_t>(half_up_ ? std::floor(v + 0.5) : std::nearbyint(v)); }

  int64_t quantized(float v, int64_t low, int64_t high) const {
    if (v <= static_cast<float>(low)) return low;
    return v >= static_cast<float>(high) ? high : rounded(v);
  }

  float on_grid(float scale, bool weights = false) const {
    const bool asked = march_.power_of_two == quant::PowerOfTwo::all ||
                       (march_.power_of_two == quant::PowerOfTwo::activations && !weights);
    if (!march_.power_of_two_scales) return asked ? std::exp2(std::ceil(std::log2(scale))) : scale;
    for (int k = march_.max_scale_exponent; k > march_.min_scale_exponent; --k)
      if (std::ldexp(1.0f, -k) >= scale) return std::ldexp(1.0f, -k);
    return std::ldexp(1.0f, -march_.min_scale_exponent);
  }

  float scale_of(const quant::Range& range) const {
    const float reach = std::fmax(std::fmax(-range.min, range.max), 0.0f);
    return on_grid(std::fmax(reach / 127.5f, 0x1p-23f));
  }

  struct Attributes {
    int64_t stride_h = 1, stride_w = 1, padding_h = 0, padding_w = 0, dilation_h = 1, dilation_w = 1, groups = 1;
    std::string activation = "none";
  };

  static Attributes attributes_of(const Node& node) {
    Attributes a;
    for (const Field& field : node.op->fields()) {
      const auto pair = [&](int64_t& h, int64_t& w) {
        if (const auto* both = std::get_if<std::vector<int64_t>>(&field.value)) {
          h = both->at(0);
          w = both->at(1);
        } else {
          h = w = std::get<int64_t>(field.value);
        }
      };
      if (field.name == "stride") pair(a.stride_h, a.stride_w);
      if (field.name == "padding") pair(a.padding_h, a.padding_w);
      if (field.name == "dilation") pair(a.dilation_h, a.dilation_w);
      if (field.name == "groups") a.groups = std::get<int64_t>(field.value);
      if (field.name == "activation") a.activation = std::get<std::string>(field.value);
    }
    return a;
  }

  void bound(const std::string_view activation, Value& y) const {
    if (activation == "relu" || activation == "relu6") y.low = 0;
    if (activation == "relu6") y.high = quantized(6.0f * (1.0f / y.scale), -128, 127);
  }

  static int64_t reach(const Value& v) { return std::max(std::abs(v.low), std::abs(v.high)); }

  void convolve(const Node& node, const Value& x, const Value* skip, Value& y) const {
    const Attributes a = attributes_of(node);
    bound(a.activation, y);
    const Tensor& weight = model_.graph().parameters.at(static_cast<size_t>(node.inputs[1].index)).value;
    const Tensor& bias = model_.graph().parameters.at(static_cast<size_t>(node.inputs[2].index)).value;
    const auto image = [](const Shape& s) { return s.rank() == 4 ? s : Shape{s[0], 1, 1, s[1]}; };
    const Shape xs = image(x.shape), ws = image(weight.shape()), ys = image(y.shape);
    const int64_t out = ys[3], each = weight.elements() / out, in_group = ws[3], out_group = out / a.groups;

    std::vector<int64_t> w, qb;
    std::vector<double> unit;
    for (int64_t o = 0; o < out; ++o) {
      float most = 0;
      for (int64_t i = o * each; i < (o + 1) * each; ++i) most = std::fmax(most, std::fabs(weight.data<float>()[i]));
      float scale = on_grid(std::fmax(most / 127.5f, 0x1p-23f), true);
      const double b = bias.data<float>()[o], sx = x.scale;
      // What 30 bits hold, the residual's whole type included, and of what a residual still has integers.
      double needed = std::fabs(b) / 0x1p30 / sx;
      if (skip != nullptr) {
        needed = (std::fabs(b) + 128.0 * skip->scale) / (0x1p30 - 0x1p16) / sx;
        needed = std::fmax(needed, path_.least_unit(skip->scale) / sx);
      }
      if (needed > scale) {
        scale = static_cast<float>(needed);
        while (scale < needed) scale = std::nextafter(scale, 1e30f);
        scale = on_grid(scale, true);
      }
      unit.push_back(sx * scale);
      qb.push_back(static_cast<int64_t>(std::nearbyint(b / unit.back())));
      for (int64_t i = o * each; i < (o + 1) * each; ++i)
        w.push_back(quantized(weight.data<float>()[i] * (1.0f / scale), -128, 127));
    }

    for (int64_t n = 0; n < ys[0]; ++n)
      for (int64_t oh = 0; oh < ys[1]; ++oh)
        for (int64_t ow = 0; ow < ys[2]; ++ow)
          for (int64_t o = 0; o < out; ++o) {
            int64_t acc = qb[static_cast<size_t>(o)];
            for (int64_t kh = 0; kh < ws[1]; ++kh)
              for (int64_t kw = 0; kw < ws[2]; ++kw) {
                const int64_t h = oh * a.stride_h - a.padding_h + kh * a.dilation_h;
                const int64_t v = ow * a.stride_w - a.padding_w + kw * a.dilation_w;
                if (h < 0 || v < 0 || h >= xs[1] || v >= xs[2]) continue;
                for (int64_t i = 0; i < in_group; ++i)
                  acc +=
                      x.q[static_cast<size_t>(((n * xs[1] + h) * xs[2] + v) * xs[3] + o / out_group * in_group + i)] *
                      w[static_cast<size_t>(((o * ws[1] + kh) * ws[2] + kw) * in_group + i)];
              }
            if (y.scale == 0) {
              y.q.push_back(acc);
              continue;
            }
            const int64_t added = skip == nullptr ? 0 : skip->q[y.q.size()];
            const double u = unit[static_cast<size_t>(o)];
            const plain::By by =
                skip == nullptr ? path_.accumulator(u, y.scale) : path_.residual(u, skip->scale, reach(*skip), y.scale);
            y.q.push_back(path_.apply(by, acc, added, y.low, y.high));
          }
  }

  void add(const Value& a, const Value& b, Value& y) const {
    const plain::By by = path_.sum(a.scale, b.scale, 128, y.scale);
    for (size_t i = 0; i < a.q.size(); ++i) y.q.push_back(path_.apply(by, a.q[i], b.q[i], y.low, y.high));
  }

  void mean(const Value& x, Value& y) const {
    const int64_t positions = x.shape[1] * x.shape[2], channels = x.shape[3];
    for (int64_t n = 0; n < x.shape[0]; ++n)
      for (int64_t c = 0; c < channels; ++c) {
        int64_t sum = 0;
        for (int64_t p = 0; p < positions; ++p) sum += x.q[static_cast<size_t>((n * positions + p) * channels + c)];
        y.q.push_back(path_.apply(path_.mean(x.scale, positions, y.scale), sum, 0, y.low, y.high));
      }
  }

  // Operations through which the scale passes; max_pool2d is that of networks.h, 2x2.
  void move(std::string_view op, const Value& x, Value& y) const {
    y.scale = x.scale;
    y.low = x.low;
    y.high = x.high;
    if (op == "max_pool2d") {
      const int64_t height = x.shape[1], width = x.shape[2], channels = x.shape[3];
      for (int64_t n = 0; n < x.shape[0]; ++n)
        for (int64_t h = 0; h < height / 2; ++h)
          for (int64_t w = 0; w < width / 2; ++w)
            for (int64_t c = 0; c < channels; ++c) {
              int64_t best = -128;
              for (int64_t k = 0; k < 4; ++k)
                best = std::max(
                    best,
                    x.q[static_cast<size_t>(((n * height + 2 * h + k / 2) * width + 2 * w + k % 2) * channels + c)]);
              y.q.push_back(best);
            }
      return;
    }
    y.q = x.q;
    if (op != "relu" && op != "relu6") return;  // flatten
    y.high = 127;
    bound(op, y);
    for (int64_t& q : y.q) q = std::min(std::max(q, y.low), y.high);
  }

  const quant::PreparedModel& model_;
  const quant::Arithmetic& march_;
  plain::Path path_;
  bool half_up_;
};

}  // namespace sinter::test
