#include "conv.h"

#include <cstdlib>
#include <limits>
#include <optional>

#include "../../core/error.h"
#include "../../core/ops/view.h"
#include "../../core/repeated.h"
#include "../fused_conv.h"
#include "../integer/conv.h"
#include "../integer/requantize.h"
#include "../post_training/channels.h"
#include "checks.h"
#include "rescale.h"

namespace sinter::quant {

namespace {

constexpr int64_t kMaxBias = int64_t{1} << 30;
constexpr int64_t kLargest = 1 << 20;  // of what windows are made of

const FusedConvAttributes& conv_of(const Instruction& step) {
  return static_cast<const FusedConv&>(*step.op).attributes;
}

void add_bias(const Instruction& step, Tensor& acc) {
  const auto bias = step.bias.values<int32_t>();
  const Repeated<int32_t> repeated(bias.data(), static_cast<int64_t>(bias.size()));
  auto* out = acc.mutable_data<int32_t>();
  parallel_for(acc.elements(), kGrain, [&](int64_t begin, int64_t end) {
    repeated.each(begin, end, [&](int64_t at, int64_t count, const int32_t* beside) {
      for (int64_t i = 0; i < count; ++i) out[at + i] += beside[i];
    });
  });
}

class PreparedConv final : public PreparedLayer {
 public:
  PreparedConv(const IntegerProgram& program, const Instruction& step)
      : step_(step),
        x_(input(program, step, 0).grid()),
        y_(program.values[static_cast<size_t>(step.output)]),
        weights_(
            integer_weights(step.weight, x_, true, y_.name.c_str(), as_columns(conv_of(step), step.weight.shape()))) {
    const auto bias = step.bias.values<int32_t>();
    if (y_.dtype == DType::int32)
      dequantizer_.emplace(std::vector<int32_t>(bias.begin(), bias.end()),
                           accumulator_units(x_.scale, step.weight_scales.values<float>()));
    else
      requantizer_.emplace(*program.march.datapath,
                           Rescalings{{bias.begin(), bias.end()}, step.rescale, y_.grid().bounds});
  }

  // Accumulators become real numbers while they are in cache.
  Tensor run(std::span<const Tensor> x, const Shape& shape, bool real) const override {
    const auto& attributes = conv_of(step_);
    const auto c = geometry(attributes, x[0].shape(), step_.weight.shape(), shape);
    const Tensor source = spread(attributes, x[0], step_.weight.shape());
    const bool head = y_.dtype == DType::int32;
    Tensor result = Tensor::empty(shape, head && real ? DType::float32 : y_.dtype);
    if (head && real) {
      integer_head(c, source, x_, weights_, *dequantizer_, result);
    } else if (head) {
      integer_convolution(c, source, x_, weights_, result);
      add_bias(step_, result);
    } else {
      integer_layer(c, source, x_, weights_, x.size() == 2 ? x[1] : Tensor(), *requantizer_, result);
    }
    return result;
  }

 private:
  const Instruction& step_;  // of the program, which outlives this
  Grid x_;
  const Value& y_;
  IntegerWeights weights_;
  std::optional<Requantizer> requantizer_;
  std::optional<Dequantizer> dequantizer_;  // instead, of a high-precision output
};

/// FusedConv: a convolution, a transposed one or a linear layer, with what it adds and its ReLU. Its accumulators are
/// rescaled by output channel, or are the output.
class Conv final : public Layer {
 public:
  std::string_view name() const override { return "conv"; }

  Answer takes(const Graph& graph, const Node& node) const override {
    if (fused_conv(node) != nullptr) return yes();
    const std::string_view op = node.op->name();
    if (op == "batch_norm") return refused("its statistics or factors are computed, expected parameters");
    if (op != "conv2d" && op != "linear" && op != "conv_transpose2d") return not_mine();
    if (op == "linear" && graph.spec(node.inputs[0]).shape.rank() < 2)
      return refused(text("its input is ", graph.spec(node.inputs[0]).shape, ", expected [N,...,K]"));
    for (size_t i = 1; i < node.inputs.size(); ++i)
      if (node.inputs[i].is_activation()) return refused("its weight is computed, expected a parameter");
    return refused("its padding is more than its kernel reaches");
  }

  bool may_be_negative(const Graph&, const Node& node, bool) const override {
    return fused_conv(node)->activation() == Activation::none;
  }

  void lower(const Lowering& from, Instruction& step, Grid& y) const override {
    const Node& node = from.node;
    const FusedConv& conv = *fused_conv(node);
    const QuantizedWeights& weights = *from.weights;
    const Grid& x = from.x[0];
    const auto channels = static_cast<int64_t>(weights.scales.size());
    for (size_t o = 0; o < weights.scales.size(); ++o)
      sinter::check(weights.scales[o] <= kMaxScale, node.name, ": the weights of output channel ", o,
                    " have the scale ", weights.scales[o],
                    ", expected at most 2^100; they have diverged, or need to be scaled down");
    FusedConvAttributes attributes = conv.attributes;
    attributes.batch_norm = attributes.frozen = false;
    step.op = std::make_shared<FusedConv>(attributes);
    const Tensor& w = weights.values;
    step.weight = w.rank() == 4 ? w : ops::view(w, {w.size(0), 1, 1, w.size(1)});
    accumulator_reach(step.weight, x, node.name.c_str());
    step.bias = Tensor::from({channels}, weights.bias);
    step.weight_scales = Tensor::from({channels}, weights.scales);
    if (y.dtype == DType::int32) return;
    step.rescale = channel_rescalings(node.name, from.march, accumulator_units(x.scale, weights.scales),
                                      from.x.size() == 2 ? &from.x[1] : nullptr, y);
    y.bounds = output_bounds(conv.activation(), y.scale, from.march.rounding, y.bounds);
  }

  std::unique_ptr<const PreparedLayer> prepare(const IntegerProgram& program, const Instruction& step) const override {
    return std::make_unique<const PreparedConv>(program, step);
  }

  void check(const IntegerProgram& program, const Instruction& step) const override {
    expect_inputs(step, 1, 2);
    sinter::check(dynamic_cast<const FusedConv*>(step.op.get()) != nullptr, "has no attributes of a convolution");
    const Shape &x = input(program, step, 0).shape, &y = program.values[static_cast<size_t>(step.output)].shape;
    const FusedConvAttributes& a = conv_of(step);
    const Tensor& w = step.weight;
    const int64_t inputs = x[x.rank() - 1];
    sinter::check(x.rank() >= 2, "reads ", x, ", expected [1,...,K]");
    sinter::check(w.defined() && step.bias.defined() && step.weight_scales.defined(), "has no weights");
    sinter::check(w.dtype() == DType::int8 && w.rank() == 4 && w.elements() > 0 && a.groups >= 1 &&
                      w.size(3) <= inputs && w.size(3) * a.groups == inputs && w.size(0) % a.groups == 0,
                  "has weights ", w.spec(), " in ", a.groups, " groups for an input of ", inputs, " channels");
    sinter::check(step.bias.spec() == Spec{DType::int32, {w.size(0)}} &&
                      step.weight_scales.spec() == Spec{DType::float32, {w.size(0)}},
                  "has bias ", step.bias.spec(), " and scales ", step.weight_scales.spec(), " for ", w.size(0),
                  " channels");
    for (const int32_t b : step.bias.values<int32_t>())
      sinter::check(std::abs(int64_t{b}) <= kMaxBias, "has the bias ", b, ", expected at most 2^30");
    for (const float scale : step.weight_scales.values<float>())
      sinter::check(scale > 0 && scale <= kMaxScale, "has the scale ", scale, " for weights");
    accumulator_reach(w, input(program, step, 0).grid(), "is refused");
    if (step.inputs.size() == 2)
      sinter::check(input(program, step, 1).shape == y, "adds ", input(program, step, 1).shape, " to ", y);
  }

  std::vector<std::string_view> parts() const override { return {"weight", "bias", "weight_scales"}; }
  bool can_be_head() const override { return true; }

  Shape shape(const IntegerProgram& program, const Instruction& step) const override {
    const Shape& x = input(program, step, 0).shape;
    const FusedConvAttributes& a = conv_of(step);
    const Tensor& w = step.weight;
    for (const Pair& pair : {a.stride, a.dilation, Pair{a.padding.h + 1, a.padding.w + 1}})
      sinter::check(pair.h >= 1 && pair.h <= kLargest && pair.w >= 1 && pair.w <= kLargest, "has a window of size ",
                    pair);
    if (a.linear || x.rank() != 4) {
      sinter::check(w.size(1) == 1 && w.size(2) == 1 && a.stride == Pair{1} && a.padding == Pair{0} &&
                        a.dilation == Pair{1} && a.output_padding == Pair{0} && !(a.linear && a.groups != 1) &&
                        !a.transposed,
                    "is a linear layer, and has a window");
      return x.with(x.rank() - 1, w.size(0));
    }
    int64_t h = 0, width = 0;
    if (a.transposed) {
      sinter::check(x[1] >= 1 && x[1] <= kLargest && x[2] >= 1 && x[2] <= kLargest, "spreads ", x);
      const Pair added = a.output_padding;
      const Pair outer{a.dilation.h * (w.size(1) - 1) - a.padding.h, a.dilation.w * (w.size(2) - 1) - a.padding.w};
      sinter::check(
          added.h >= 0 && added.h < a.stride.h && added.w >= 0 && added.w < a.stride.w && outer.h >= 0 && outer.w >= 0,
          "has a window of padding ", a.padding, " and output padding ", added);
      h = (x[1] - 1) * a.stride.h + 1 + added.h + outer.h - a.padding.h;
      width = (x[2] - 1) * a.stride.w + 1 + added.w + outer.w - a.padding.w;
    } else {
      h = window_output(x[1], w.size(1), a.stride.h, a.padding.h, a.dilation.h, false);
      width = window_output(x[2], w.size(2), a.stride.w, a.padding.w, a.dilation.w, false);
    }
    sinter::check(h >= 1 && width >= 1, "has no window in ", x);
    return {1, h, width, w.size(0)};
  }

  std::vector<Reach> reaches(const IntegerProgram& program, const Instruction& step) const override {
    if (program.values[static_cast<size_t>(step.output)].dtype == DType::int32) return {};
    const std::vector<int64_t> sums = accumulator_reach(step.weight, input(program, step, 0).grid(), "is refused");
    std::vector<Reach> all;
    for (size_t o = 0; o < sums.size(); ++o)
      all.push_back({sums[o] + std::abs(int64_t{step.bias.values<int32_t>()[o]}),
                     step.inputs.size() == 2 ? reach(program, step, 1) : 0});
    return all;
  }

  int64_t macs(const Instruction& step, const Shape& x, const Shape& y) const override {
    return convolution_macs(conv_of(step), x, step.weight.shape(), y);
  }

  float ceiling(const Instruction& step, float) const override {
    return sinter::ceiling(static_cast<const FusedConv&>(*step.op).activation());
  }

  std::vector<std::vector<size_t>> channels(Channels& channels, const Graph& graph, const Node& node) const override {
    const auto y = channels.open(node.outputs[0]);
    if (const Operand* skip = skip_of(node)) channels.tie(y, channels.ids(*skip));
    if (fused_conv(node)->activation() == Activation::relu6) channels.pin(y, "the ReLU6 of " + node.name);
    for (const auto& [parameter, what] : {std::pair(node.inputs[1], "weights"), std::pair(node.inputs[2], "biases")})
      if (const Node* other = other_reader(graph, node, parameter)) {
        const std::string reason = text("the ", what, " of ", node.name, " are those of ", other->name, ", too");
        channels.pin(y, reason);
        channels.pin(node.inputs[0], reason);
      }
    return {y};
  }
};

}  // namespace

std::vector<Rescaling> channel_rescalings(const std::string& node, const March& march, const std::vector<double>& unit,
                                          const Grid* skip, const Grid& y) {
  std::vector<Rescaling> result;
  for (const double u : unit)
    result.push_back(explained(node, [&] {
      return skip == nullptr ? march.datapath->accumulator(u, y) : march.datapath->residual(u, *skip, y);
    }));
  return result;
}

const Layer& conv_layer() {
  static const Conv layer;
  return layer;
}

}  // namespace sinter::quant
