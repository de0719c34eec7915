#include "adaround.h"

#include <algorithm>
#include <cmath>
#include <numbers>
#include <numeric>

#include "../../core/autograd.h"
#include "../../core/ops/arithmetic.h"
#include "../../core/parallel.h"
#include "../../core/random.h"
#include "../../core/table.h"
#include "../../data/data_loader.h"
#include "../../nn/optim/adamw.h"
#include "../analysis/format.h"
#include "../fused_conv.h"
#include "../lower.h"
#include "../read_inputs.h"
#include "../runner.h"
#include "../scale_source.h"
#include "undo.h"

namespace sinter::quant {

namespace {

// Images of several batches, or some of them, as one tensor.
Tensor joined(const std::vector<Tensor>& batches) {
  int64_t images = 0;
  for (const Tensor& batch : batches) images += batch.size(0);
  Tensor all = Tensor::empty(batches[0].shape().with(0, images));
  float* out = all.mutable_data<float>();
  for (const Tensor& batch : batches) out = std::copy_n(batch.data<float>(), batch.elements(), out);
  return all;
}

Tensor rows(const Tensor& all, const std::vector<int64_t>& indices) {
  Tensor some = Tensor::empty(all.shape().with(0, static_cast<int64_t>(indices.size())));
  const int64_t row = all.elements() / all.size(0);
  float* out = some.mutable_data<float>();
  for (const int64_t i : indices) out = std::copy_n(all.data<float>() + i * row, row, out);
  return some;
}

// A layer with what it reads in the quantised network and makes in the float one, of all images.
struct LayerData {
  FusedConvAttributes attributes;
  Tensor x, skip, target;     // skip may be undefined
  Tensor bias;                // what its integers stand for
  std::vector<float> scales;  // of the weights, by output channel
  Bounds bounds;              // of their integers

  int64_t images() const { return target.size(0); }
  LayerData of_images(const std::vector<int64_t>& indices) const {
    LayerData some = *this;
    some.x = rows(x, indices);
    some.target = rows(target, indices);
    if (skip.defined()) some.skip = rows(skip, indices);
    return some;
  }
  Tensor run(const Tensor& weight) const {
    return skip.defined() ? call(FusedConv(attributes), x, weight, bias, skip)
                          : call(FusedConv(attributes), x, weight, bias);
  }
};

double squares(const Tensor& values) {
  double sum = 0;
  for (const float v : values.values<float>()) sum += static_cast<double>(v) * static_cast<double>(v);
  return sum;
}

// Roundings as the paper relaxes them, of weights [O,...].
class Relaxation {
 public:
  Relaxation(const LayerData& layer, const Tensor& weight)
      : scales_(layer.scales),
        low_(static_cast<float>(layer.bounds.low)),
        high_(static_cast<float>(layer.bounds.high)),
        each_(weight.elements() / weight.size(0)),
        floors_(Tensor::empty(weight.shape())) {
    Tensor v = Tensor::empty(weight.shape());
    float *floors = floors_.mutable_data<float>(), *out = v.mutable_data<float>();
    for_each([&](int64_t k) {
      const float scaled = weight.data<float>()[k] * (1.0f / scale(k));
      floors[k] = std::floor(scaled);
      out[k] = -std::log(kStretch / (scaled - floors[k] - kLow) - 1);  // h(v) is what is left
    });
    v_ = Parameter(std::move(v));
  }

  Parameter& parameter() { return v_; }

  // The weights as they are now, between integers.
  Tensor soft() const {
    return weights([](float h) { return h; });
  }
  // Rounded up or down.
  Tensor hard() const {
    return weights([](float h) { return h >= 0.5f ? 1.0f : 0.0f; });
  }

  // The gradient of v, from that of the soft weights and of the regulariser.
  Tensor gradient(const Tensor& dweight, float regularization, float beta) const {
    Tensor result = Tensor::empty(floors_.shape());
    float* out = result.mutable_data<float>();
    const float *dw = dweight.data<float>(), *floors = floors_.data<float>();
    for_each([&](int64_t k) {
      const float s = sigmoid(k), stretched = kStretch * s + kLow, q = floors[k] + stretched;
      const bool saturated = stretched <= 0 || stretched >= 1, inside = q >= low_ && q <= high_;
      const float centred = 2 * stretched - 1;
      const float dh = (inside ? dw[k] * scale(k) : 0) -
                       2 * regularization * beta * std::copysign(std::pow(std::abs(centred), beta - 1), centred);
      out[k] = saturated ? 0 : dh * kStretch * s * (1 - s);
    });
    return result;
  }

 private:
  static constexpr float kLow = -0.1f, kStretch = 1.2f;  // gamma, and zeta - gamma

  float scale(int64_t k) const { return scales_[k / each_]; }
  float sigmoid(int64_t k) const { return 1 / (1 + std::exp(-v_.tensor().data<float>()[k])); }

  template <class F>
  void for_each(const F& f) const {
    parallel_for(floors_.elements(), 1 << 12, [&](int64_t begin, int64_t end) {
      for (int64_t k = begin; k < end; ++k) f(k);
    });
  }

  template <class F>
  Tensor weights(const F& up) const {
    Tensor result = Tensor::empty(floors_.shape());
    float* out = result.mutable_data<float>();
    for_each([&](int64_t k) {
      const float h = std::clamp(kStretch * sigmoid(k) + kLow, 0.0f, 1.0f);
      out[k] = std::clamp(floors_.data<float>()[k] + up(h), low_, high_) * scale(k);
    });
    return result;
  }

  std::vector<float> scales_;
  float low_, high_;
  int64_t each_;
  Tensor floors_;
  Parameter v_;
};

// d of the squared error of the layer's output with these weights, summed over channels, relative to `power`.
Tensor error_gradient(const LayerData& layer, const Tensor& weight, double power) {
  Tensor dv = layer.run(weight);
  const int64_t outputs = weight.size(0);
  const auto factor =
      static_cast<float>(2 * static_cast<double>(outputs) / (static_cast<double>(dv.elements()) * power));
  const Activation activation = activation_named(layer.attributes.activation);
  const float top = ceiling(activation), *target = layer.target.data<float>();
  float* v = dv.mutable_data<float>();
  parallel_for(dv.elements(), 1 << 14, [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) {
      const bool passes = activation == Activation::none || (v[i] > 0 && v[i] < top);
      v[i] = passes ? factor * (v[i] - target[i]) : 0;
    }
  });
  Tensor dweight = Tensor::empty(weight.shape()), dbias = Tensor::empty({outputs});
  weight_gradient(layer.attributes, layer.x, dv, dweight, dbias);
  return dweight;
}

class AdaRound {
 public:
  AdaRound(PreparedModel& model, const data::Dataset& dataset, const AdaRoundOptions& options)
      : model_(model),
        graph_(model.graph()),
        options_(options),
        float_(model.graph()),
        loader_(
            dataset,
            {.batch = options.batch, .seed = options.seed, .batches = options.batches, .collate = options.collate}) {}

  std::vector<RoundedLayer> run() {
    std::vector<RoundedLayer> report;
    for (size_t i = 0; i < graph_.nodes.size(); ++i) {
      if (model_.weight_quantizer(i) == nullptr) continue;
      report.push_back(round(i));
      if (options_.on_layer) options_.on_layer(report.back().name);
    }
    undo_.done();
    return report;
  }

 private:
  RoundedLayer round(size_t index) {
    const Node& node = graph_.nodes[index];
    Tensor weight = graph_.parameters[node.inputs[1].index].value.tensor();
    RoundedLayer report{.name = node.name, .weights = weight.elements()};
    if (const Node* other = other_reader(graph_, node, node.inputs[1])) {
      report.skipped = "its weights are those of " + other->name + ", too";
      return report;
    }
    const LayerData layer = data_of(index);
    const double power = squares(layer.target) / static_cast<double>(layer.target.elements());
    check(std::isfinite(power), "adaround: ", node.name, ": the mean square of its outputs in float is ", power,
          ", expected a finite number; is a value of an image or a parameter NaN or infinite?");
    if (power == 0) {
      report.skipped = "its outputs are all 0";
      return report;
    }
    undo_.keep(weight);
    undo_.keep(model_.weight_quantizer(index)->frozen_state);
    model_.weight_quantizer(index)->freeze(model_.march(), weight);
    const Tensor nearest = dequantized(index), learned = learn(layer, node.name, weight, power);
    report.nearest_error = error(layer, nearest) / power;
    report.error = error(layer, learned) / power;
    const bool better = report.error < report.nearest_error;
    if (!better) report.error = report.nearest_error;
    weight.copy_from(better ? learned : nearest);
    const Tensor now = dequantized(index);
    for (int64_t k = 0; k < weight.elements(); ++k) {
      check(now.data<float>()[k] == weight.data<float>()[k], "adaround: the weights of ", node.name,
            " are not rounded to the integers that were learned");
      report.changed += now.data<float>()[k] != nearest.data<float>()[k];
    }
    return report;
  }

  // What the integers of the weights stand for.
  Tensor dequantized(size_t index) const {
    const QuantizedWeights q = quantized_weights(model_, index);
    Tensor weight = q.values.to(DType::float32);
    float* w = sinter::detail::Access::write<float>(weight);
    const int64_t each = weight.elements() / weight.size(0);
    for (int64_t k = 0; k < weight.elements(); ++k) w[k] *= q.scales[k / each];
    return weight;
  }

  LayerData data_of(size_t index) {
    const Node& node = graph_.nodes[index];
    Graph until = float_.share();
    until.outputs = {{Operand::Kind::node, static_cast<int>(index)}};
    until.canonicalize();
    IntegerProgram program = lower(model_);
    const auto step = std::find_if(program.instructions.begin(), program.instructions.end(), [&](const Instruction& s) {
      return s.weight.defined() && program.values[s.output].name == node.name;
    });
    program.outputs = step->inputs;
    program.instructions.erase(step, program.instructions.end());
    const Runner before(std::move(program));

    std::vector<Tensor> x, skip, target;
    for (const auto& batch : loader_.epoch(0)) {
      const std::vector<Tensor> inputs = read_inputs("adaround", options_.inputs, batch, graph_.inputs.size());
      target.push_back(until.run(inputs)[0]);
      auto read = before.run(inputs);
      x.push_back(std::move(read[0]));
      if (read.size() > 1) skip.push_back(std::move(read[1]));
    }
    const QuantizedWeights weights = quantized_weights(model_, index);
    const float x_scale = scales_of(model_).of(node.inputs[0]);
    Tensor bias = Tensor::empty({static_cast<int64_t>(weights.scales.size())});
    for (size_t o = 0; o < weights.scales.size(); ++o)
      sinter::detail::Access::write<float>(bias)[o] = dequantize(weights.bias[o], x_scale, weights.scales[o]);
    return {fused_conv(node)->attributes,
            joined(x),
            skip.empty() ? Tensor() : joined(skip),
            joined(target),
            bias,
            weights.scales,
            model_.weight_quantizer(index)->bounds()};
  }

  Tensor learn(const LayerData& layer, const std::string& name, const Tensor& weight, double power) const {
    Relaxation relaxation(layer, weight);
    std::vector<NamedParameter> parameters;
    parameters.push_back({name, relaxation.parameter().share()});  // a list would copy
    optim::AdamW adam({.lr = options_.lr, .weight_decay = 0});
    Random random(options_.seed, stream_of(name));
    for (int64_t i = 0; i < options_.iterations; ++i) {
      std::vector<int64_t> images;
      for (int64_t k = 0; k < options_.images; ++k) images.push_back(random.below(layer.images()));
      const Tensor dweight = error_gradient(layer.of_images(images), relaxation.soft(), power);
      const double done = static_cast<double>(i) / static_cast<double>(options_.iterations);
      const double annealed = (done - options_.warm_up) / (1 - options_.warm_up);
      const double beta = options_.beta_end +
                          (options_.beta_start - options_.beta_end) * (1 + std::cos(std::numbers::pi * annealed)) / 2;
      relaxation.parameter().tensor().set_grad(relaxation.gradient(
          dweight, static_cast<float>(annealed < 0 ? 0 : options_.regularization), static_cast<float>(beta)));
      adam.step(parameters);
    }
    return relaxation.hard();
  }

  // Mean squared error of the outputs over all images.
  double error(const LayerData& layer, const Tensor& weight) const {
    double sum = 0;
    for (int64_t begin = 0; begin < layer.images(); begin += options_.batch) {
      std::vector<int64_t> images(std::min(options_.batch, layer.images() - begin));
      std::iota(images.begin(), images.end(), begin);
      const LayerData some = layer.of_images(images);
      sum += squares(some.run(weight) - some.target);
    }
    return sum / static_cast<double>(layer.target.elements());
  }

  PreparedModel& model_;
  const Graph& graph_;
  const AdaRoundOptions& options_;
  const Graph float_;  // with the weights as they were
  data::DataLoader loader_;
  Undo undo_;
};

}  // namespace

std::string to_string(const std::vector<RoundedLayer>& report) {
  std::vector<std::vector<std::string>> table{{"layer", "weights", "not nearest", "error, nearest", "learned"}};
  std::string skipped;
  for (const RoundedLayer& layer : report) {
    if (layer.skipped.empty())
      table.push_back({layer.name, text(layer.weights), text(layer.changed), short_number(layer.nearest_error),
                       short_number(layer.error)});
    else
      skipped += text(layer.name, " stays as it was: ", layer.skipped, "\n");
  }
  return sinter::detail::table(table, 1) + skipped;
}

std::vector<RoundedLayer> adaround(PreparedModel& model, const data::Dataset& dataset, const AdaRoundOptions& options) {
  check_folded("adaround", model.graph());
  check(options.iterations >= 1 && options.images >= 1 && options.warm_up >= 0 && options.warm_up < 1,
        "adaround: iterations is ", options.iterations, ", images ", options.images, ", warm_up ", options.warm_up,
        ", expected at least 1, at least 1, and 0 to below 1");
  model.check_observed("adaround");
  const NoGrad no_grad;
  const TrainingMode evaluation(false);
  return AdaRound(model, dataset, options).run();
}

}  // namespace sinter::quant
