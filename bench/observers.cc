// Every observer and every fake-quant there is, beside a memcpy of the values they go over, in GB/s of these.

#include <algorithm>
#include <cstring>

#include "../quant/ops/input.h"
#include "measure.h"

#include <sinter/sinter.h>

namespace sinter::bench {

namespace {

struct Values {
  std::string row;
  Tensor tensor;
  bool weight;  // [O,...]: by channel
};

std::vector<Values> values() {
  Random random(1);
  return {{"activation 128x32x32x16", Tensor::normal({128, 32, 32, 16}, random), false},
          {"weight 512x3x3x512", Tensor::normal({512, 3, 3, 512}, random), true}};
}

void add_cell(const std::string& section, const Values& v, const std::string& column, const std::function<Work()>& make,
              bool baseline = false) {
  add({.section = section,
       .row = v.row,
       .column = column,
       .baseline = baseline,
       .bytes = static_cast<double>(v.tensor.bytes()),
       .make = make});
}

void add_memcpy(const std::string& section, const Values& v) {
  add_cell(
      section, v, "memcpy",
      [x = v.tensor]() -> Work {
        return [x, to = Tensor::empty(x.shape())]() mutable {
          const float* from = x.data<float>();
          float* out = to.mutable_data<float>();
          parallel_for(x.elements(), 1 << 14, [&](int64_t begin, int64_t end) {
            std::memcpy(out + begin, from + begin, static_cast<size_t>(end - begin) * sizeof(float));
          });
        };
      },
      true);
}

// What an observer has to be told that has no defaults.
quant::Keywords required(const quant::ObserverFactory& factory) {
  const auto knows = [&](const char* keyword) {
    return std::find(factory.keywords.begin(), factory.keywords.end(), keyword) != factory.keywords.end();
  };
  if (knows("scale")) return {{"scale", 1.0 / 32}};
  if (knows("min") && knows("max")) return {{"min", -2.0}, {"max", 2.0}};
  return {};
}

Work observing(const Values& v, const std::string& name) {
  const quant::ObserverFactory& factory = quant::observer_factory(name);
  return [v, observer = factory.make(required(factory))] {
    if (!v.weight) {
      observer->observe(quant::Samples(v.tensor));
      return;
    }
    for (int64_t o = 0; o < v.tensor.size(0); ++o)  // one for each: some remember what they saw
      quant::ObserverValue(observer)->observe(quant::Samples::channel(v.tensor, o));
  };
}

quant::TensorConfig config(const std::string& fake_quant) {
  return quant::get_default_qconfig({.weight_fake_quant = fake_quant}).weight;
}

// An activation where a model in QAT quantises it.
struct Activation {
  quant::ActivationQuantizer quantizer;
  quant::Arithmetic march{quant::March::bayes};
  quant::Pass pass{&march, true, true};
  std::atomic<int64_t> nans{0};
  Tensor x, dy;

  Activation(const Tensor& values, const std::string& fake_quant)
      : quantizer("activation", config(fake_quant)), x(values.clone()), dy(values) {
    x.set_requires_grad(true);
  }
  Tensor forward() {
    quant::Quantize op;
    op.output = &quantizer;
    op.pass = &pass;
    op.nans = &nans;
    op.learning = quantizer.learning();
    return op.learning ? call(op, x, quantizer.learned.tensor()) : call(op, x);
  }
};

Work forward(const Values& v, const std::string& fake_quant) {
  if (!v.weight) return [site = std::make_shared<Activation>(v.tensor, fake_quant)] { site->forward(); };
  return [weight = v.tensor, bias = Tensor::zeros({v.tensor.size(0)}), how = config(fake_quant)] {
    quant::WeightQuantizer("weight", how, weight.size(0)).quantize(quant::March::bayes, weight, bias, 1.0f / 64);
  };
}

Work backward(const Values& v, const std::string& fake_quant) {
  const auto site = std::make_shared<Activation>(v.tensor, fake_quant);
  return [site, y = site->forward()] {
    y.backward(site->dy, true);
    site->x.set_grad({});
  };
}

}  // namespace

void add_all() {
  for (const Values& v : values()) {
    add_memcpy("observers", v);
    for (const std::string& name : quant::observer_names()) {
      const quant::ObserverFactory& factory = quant::observer_factory(name);
      if (v.weight && !factory.make(required(factory))->for_weights()) continue;
      add_cell("observers", v, name, [v, name] { return observing(v, name); });
    }
    add_memcpy("fake-quant forward", v);
    for (const std::string& name : quant::fake_quant_names())
      add_cell("fake-quant forward", v, name, [v, name] { return forward(v, name); });
    if (v.weight) continue;  // by a mask, where the observer clips: as activations
    add_memcpy("fake-quant backward", v);
    for (const std::string& name : quant::fake_quant_names())
      add_cell("fake-quant backward", v, name, [v, name] { return backward(v, name); });
  }
}

}  // namespace sinter::bench
