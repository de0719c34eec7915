#pragma once
// Quantisation-aware training once more, in float: a prepared model's graph by the operations of a float network, with
// fake quantisation as the papers write it. Marches are of scales that are powers of two, so that every multiplier is
// exact and both round to the same integers.

#include <cmath>
#include <map>

#include "../../core/ops/batch_norm.h"
#include "../../core/ops/conv2d.h"
#include "../../core/ops/conv_transpose2d.h"
#include "../../core/ops/linear.h"
#include "../../core/ops/reshape.h"
#include "../../quant/fused_conv.h"
#include "networks.h"

namespace sinter::test {

inline const quant::March kExact{
    .name = "exact", .power_of_two_scales = true, .min_scale_exponent = -4, .max_scale_exponent = 20};

inline double power_of_two_above(double scale) { return std::exp2(std::ceil(std::log2(scale))); }

/// clamp(round(v / s), low, high) s, with one scale or one for each v[o,...], of values times factors [O] that are
/// divided out again. Gradients: straight through inside of the bounds (or everywhere); for a learned number, the
/// second input, those of LSQ (1902.08153, equation 3) or PACT (1805.06085).
struct FloatFakeQuant final : Op {
  enum class Kind { plain, lsq, pact };
  Kind kind = Kind::plain;
  bool everywhere = false;
  double low = -128, high = 127, gradient_scale = 1;
  std::vector<double> scales, factors;

  std::string_view name() const override { return "float fake quantisation"; }
  Specs infer(std::span<const Spec> x) const override { return {x[0]}; }
  size_t channel(const Tensor& x, int64_t i) const {
    return static_cast<size_t>(i / (x.elements() / static_cast<int64_t>(scales.size())));
  }
  double factor(size_t o) const { return factors.empty() ? 1 : factors[o]; }
  void forward(Inputs x, Outputs y, Context& context) const override {
    context.keep(x[0]);
    for (int64_t i = 0; i < x[0].elements(); ++i) {
      const size_t o = channel(x[0], i);
      const double q = std::clamp(std::nearbyint(x[0].data<float>()[i] * factor(o) / scales[o]), low, high);
      y[0].mutable_data<float>()[i] = static_cast<float>(q * scales[o] / factor(o));
    }
  }
  void backward(const Context& context, Outputs dy, Gradients& dx) const override {
    const Tensor x = context.kept(0);
    float* to = dx.create(0).mutable_data<float>();
    std::vector<double> sums(scales.size());
    for (int64_t i = 0; i < x.elements(); ++i) {
      const size_t o = channel(x, i);
      const double v = x.data<float>()[i] * factor(o) / scales[o], r = std::nearbyint(v), g = dy[0].data<float>()[i];
      const bool inside = kind == Kind::pact ? v > low && v < high : r >= low && r <= high;
      to[i] = inside || everywhere ? dy[0].data<float>()[i] : 0;
      double slope = 0;
      if (kind == Kind::lsq) slope = inside ? r - v : r < low ? low : high;
      if (kind == Kind::pact) slope = v >= high ? 1 : v <= low && low < 0 ? -1 : 0;
      sums[o] += g * slope / factor(o);
    }
    if (kind == Kind::plain) return;
    float* to_numbers = dx.create(1).mutable_data<float>();
    for (size_t o = 0; o < sums.size(); ++o) to_numbers[o] = static_cast<float>(sums[o] * gradient_scale);
  }
};

/// Weights [O,KH,KW,I] with their kernels turned by half, as a transposed convolution has them.
struct Turned final : Op {
  std::string_view name() const override { return "turned"; }
  Specs infer(std::span<const Spec> x) const override { return {x[0]}; }
  void forward(Inputs x, Outputs y, Context&) const override { turn(x[0], y[0]); }
  void backward(const Context& context, Outputs dy, Gradients& dx) const override {
    Tensor result = Tensor::empty(context.input(0).shape);
    turn(dy[0], result);
    dx.set(0, result);
  }
  static void turn(const Tensor& x, Tensor& y) {
    const int64_t outputs = x.size(0), positions = x.size(1) * x.size(2), inputs = x.size(3);
    for (int64_t o = 0; o < outputs; ++o)
      for (int64_t k = 0; k < positions; ++k)
        for (int64_t i = 0; i < inputs; ++i)
          y.mutable_data<float>()[(o * positions + k) * inputs + i] =
              x.data<float>()[(o * positions + positions - 1 - k) * inputs + i];
  }
};

/// A bias [O] on the grid of its accumulators, straight through.
struct FloatBias final : Op {
  std::vector<double> units;
  std::string_view name() const override { return "float bias"; }
  Specs infer(std::span<const Spec> x) const override { return {x[0]}; }
  void forward(Inputs x, Outputs y, Context&) const override {
    for (size_t o = 0; o < units.size(); ++o)
      y[0].mutable_data<float>()[o] = static_cast<float>(std::nearbyint(x[0].data<float>()[o] / units[o]) * units[o]);
  }
  void backward(const Context&, Outputs dy, Gradients& dx) const override { dx.set(0, dy[0]); }
};

class FloatQat {
 public:
  /// The model as it is now; `batch_statistics`: its batch normalisation trains.
  explicit FloatQat(const quant::PreparedModel& model, bool batch_statistics = false)
      : batch_statistics_(batch_statistics), model_(model) {
    for (const auto& state : model.named_state()) {
      leaves[state.name] = state.value.tensor().clone();
      if (state.value.trained()) leaves[state.name].set_requires_grad(true);
    }
  }

  /// Copies of the model's parameters and buffers, by name.
  std::map<std::string, Tensor> leaves;

  /// With the activations' scales that the model has now.
  Tensor operator()(const Tensor& input) {
    const TrainingMode mode(batch_statistics_);
    const Graph& graph = model_.graph();
    values_.assign(graph.nodes.size(), {});
    input_ = quantised(input, model_.input_quantizer_or_null(0), model_.read_as_real({Operand::Kind::input, 0}));
    for (size_t i = 0; i < graph.nodes.size(); ++i) {
      const Node& node = graph.nodes[i];
      in_float_ = model_.in_float(i);
      Tensor y;
      if (quant::fused_conv(node) != nullptr) {
        y = conv(node, model_.weight_quantizer(i));
      } else {
        std::vector<Tensor> operands;
        for (const Operand& operand : node.inputs) operands.push_back(read(operand));
        y = call_all(node.op, operands)[0];
        if (node.op->name() == "resize" && !in_float_) {  // the only one that leaves the grid of its input
          FloatFakeQuant on_grid;
          on_grid.scales = {value(node.inputs[0]).scale};
          y = call(on_grid, y);
        }
      }
      const auto* quantizer = model_.node_quantizer(i);
      values_[i] = quantised(y, quantizer, in_float_);
      if (quantizer == nullptr && !in_float_) values_[i].scale = value(node.inputs[0]).scale;
    }
    return value(graph.outputs[0]).real;
  }

 private:
  struct Value {
    Tensor real, rounded;  // as float operations read it, and as the others do
    double scale = 1;
  };

  const Value& value(const Operand& operand) const {
    return operand.kind == Operand::Kind::input ? input_ : values_[static_cast<size_t>(operand.index)];
  }
  // As the running node reads it.
  Tensor read(const Operand& operand) {
    if (operand.kind == Operand::Kind::parameter) return leaves.at(name(operand));
    return in_float_ ? value(operand).real : value(operand).rounded;
  }
  Value quantised(const Tensor& v, const quant::ActivationQuantizer* quantizer, bool stays_real) {
    if (quantizer == nullptr) return {v, v, 1};
    Value result = activation(v, *quantizer);
    if (stays_real) result.real = v;
    return result;
  }
  const std::string& name(const Operand& parameter) const {
    return model_.graph().parameters[static_cast<size_t>(parameter.index)].name;
  }

  // The fake-quant's kind, its integers and, where it learns, its number.
  Tensor* configure(FloatFakeQuant& op, const quant::TensorConfig& config, const std::string& tensor, bool negative) {
    const double levels = std::exp2(config.bits);
    op.low = negative || config.bits >= 8 ? -levels / 2 : 0;
    op.high = op.low < 0 ? levels / 2 - 1 : levels - 1;
    if (config.fake_quant == "fake_quant") return nullptr;
    op.kind = config.fake_quant == "lsq" ? FloatFakeQuant::Kind::lsq : FloatFakeQuant::Kind::pact;
    const bool pact = op.kind == FloatFakeQuant::Kind::pact;
    if (pact && op.low < 0) op.low = -op.high;
    Tensor& number = leaves.at(tensor + (pact ? ".alpha" : ".scale"));
    for (const float v : number.values<float>()) op.scales.push_back(power_of_two_above(pact ? v / op.high : v));
    return &number;
  }

  Value activation(const Tensor& v, const quant::ActivationQuantizer& quantizer) {
    FloatFakeQuant op;
    Tensor* number = configure(op, quantizer.config(), quantizer.name() + ".activation", quantizer.type().low < 0);
    if (number == nullptr) op.scales = {quantizer.scale(model_.march())};
    if (op.kind == FloatFakeQuant::Kind::lsq)
      op.gradient_scale = 1 / std::sqrt(static_cast<double>(v.elements() / v.size(0)) * op.high);
    const double scale = op.scales[0];
    const Tensor y = number == nullptr ? call(op, v) : call(op, v, *number);
    return {y, y, scale};
  }

  // Weights times factors, quantised; `scales` are those of the integers.
  Tensor weights(const Tensor& w, const quant::WeightQuantizer& quantizer, const std::vector<double>& factors,
                 std::vector<double>& scales) {
    FloatFakeQuant op;
    op.factors = factors;
    Tensor* numbers = configure(op, quantizer.config(), quantizer.name() + ".weight", true);
    const int64_t outputs = w.size(0), each = w.elements() / outputs;
    op.everywhere = numbers == nullptr;  // min_max
    for (int64_t o = 0; numbers == nullptr && o < outputs; ++o) {
      double most = 0;
      for (int64_t i = o * each; i < (o + 1) * each; ++i)
        most = std::max(most, std::abs(w.data<float>()[i] * op.factor(static_cast<size_t>(o))));
      op.scales.push_back(power_of_two_above(std::max(most / ((op.high - op.low) / 2), 0x1p-20)));
    }
    if (op.kind == FloatFakeQuant::Kind::lsq) op.gradient_scale = 1 / std::sqrt(static_cast<double>(each) * op.high);
    scales = op.scales;
    return numbers == nullptr ? call(op, w) : call(op, w, *numbers);
  }

  Tensor convolved(const FusedConvAttributes& a, const Tensor& x, const Tensor& w, const Tensor& b) const {
    if (a.linear) return linear(x, w, b);
    if (a.transposed)
      return conv_transpose2d(x, call(Turned{}, w), b,
                              {.stride = a.stride,
                               .padding = a.padding,
                               .output_padding = a.output_padding,
                               .dilation = a.dilation,
                               .groups = a.groups});
    return conv2d(x, w, b, {.stride = a.stride, .padding = a.padding, .dilation = a.dilation, .groups = a.groups});
  }

  Tensor conv(const Node& node, const quant::WeightQuantizer* quantizer) {
    const auto& a = quant::fused_conv(node)->attributes;
    const auto leaf = [&](size_t i) -> Tensor& { return leaves.at(name(node.inputs[i])); };
    const Tensor x = read(node.inputs[0]);
    const double x_scale = value(node.inputs[0]).scale;
    Tensor w = leaf(1), b = leaf(2), y;
    std::vector<double> scales, factors;
    if (a.batch_norm && batch_statistics_) {
      for (int64_t o = 0; o < w.size(0); ++o)
        factors.push_back((leaf(3).at({o}) == 0 ? 1.0 : static_cast<double>(leaf(3).at({o}))) /
                          std::sqrt(leaf(6).at({o}) + a.eps));
      y = convolved(a, x, in_float_ ? w : weights(w, *quantizer, factors, scales), b);
      y = batch_norm(y, leaf(3), leaf(4), leaf(5), leaf(6), {.eps = a.eps, .momentum = a.momentum});
    } else {
      if (a.batch_norm) {
        Tensor inverse = Tensor::empty({w.size(0)});
        for (int64_t o = 0; o < w.size(0); ++o)
          inverse.mutable_data<float>()[o] = static_cast<float>(1 / std::sqrt(leaf(6).at({o}) + a.eps));
        const Tensor factor = leaf(3) * inverse;
        w = w * reshape(factor, w.rank() == 4 ? std::vector<int64_t>{-1, 1, 1, 1} : std::vector<int64_t>{-1, 1});
        b = leaf(4) + (b - leaf(5)) * factor;
      }
      if (!in_float_) {
        w = weights(w, *quantizer, {}, scales);
        FloatBias rounded;
        for (const double scale : scales) rounded.units.push_back(x_scale * scale);
        b = call(rounded, b);
      }
      y = convolved(a, x, w, b);
    }
    if (const Operand* skip = quant::skip_of(node)) y = y + read(*skip);
    if (a.activation == "relu") y = relu(y);
    if (a.activation == "relu6") y = relu6(y);
    return y;
  }

  bool batch_statistics_, in_float_ = false;
  const quant::PreparedModel& model_;
  Value input_;
  std::vector<Value> values_;
};

/// The model's output and all gradients, in its own mode, are those of the float network.
inline void check_against_float(quant::PreparedModel& model, const Tensor& x, bool batch_statistics = false) {
  FloatQat in_float(model, batch_statistics);
  Tensor theirs = x.clone(), ours = x.clone();
  theirs.set_requires_grad(true);
  ours.set_requires_grad(true);
  const Tensor actual = model(ours), expected = in_float(theirs);  // in this order: the scales may include the batch
  CHECK_CLOSE(actual, expected, 1e-4, 1e-4);
  const Tensor dy = images(expected.shape(), 11);
  expected.backward(dy);
  actual.backward(dy);
  CHECK_CLOSE(ours.grad(), theirs.grad(), 1e-3, 1e-5);
  for (const auto& state : model.named_state()) {
    CAPTURE(state.name);
    const Tensor &value = state.value.tensor(), &leaf = in_float.leaves.at(state.name);
    if (!state.value.trained()) {
      if (state.name.ends_with("mean") || state.name.ends_with("var")) CHECK_CLOSE(value, leaf, 1e-4, 1e-5);
      continue;
    }
    CHECK_CLOSE(value.grad(), leaf.grad(), 1e-3, 1e-4);
    const Tensor gradient = value.grad();
    const auto values = gradient.values<float>();
    CHECK(std::any_of(values.begin(), values.end(), [](float v) { return v != 0; }));
  }
}

}  // namespace sinter::test
