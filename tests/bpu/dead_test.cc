// Tensors that are always 0, and scales at the ends of what there is: all ways of running a model agree on them.

#include "../../core/ops/avg_pool2d.h"
#include "../../core/ops/concat.h"
#include "../../core/ops/hardswish.h"
#include "../../quant/analysis/describe.h"
#include "../../quant/march.h"
#include "../quant/networks.h"
#include "agreement.h"

using namespace sinter;
using namespace sinter::quant;

namespace {

// A convolution whose ReLU lets nothing through, and what is made of its zeros.
struct Dead : nn::Module {
  nn::Conv2d dead{{.in = 2, .out = 2, .kernel = 1, .bias = false}}, live{{.in = 2, .out = 2, .kernel = 1}},
      after{{.in = 2, .out = 2, .kernel = 1, .bias = false}}, joins{{.in = 4, .out = 2, .kernel = 1}};
  SINTER_CHILDREN(dead, live, after, joins)

  Dead() {
    dead.weight.tensor().copy_from(Tensor::full({2, 1, 1, 2}, -1));
    live.weight.tensor().copy_from(Tensor::from({2, 1, 1, 2}, {1, 0.5f, -1, 2}));
  }
  // For inputs that are not negative.
  Tensor forward(const Tensor& x) const override {
    const Tensor zero = relu(dead(x)), other = live(x);
    const Tensor product = zero * other, pooled = avg_pool2d(product, {.kernel = 3, .stride = 1, .padding = 1});
    const Tensor sum = zero + after(pooled);
    return joins(concat({hardswish(sum), other + zero}, 3));
  }
};

Tensor bright(const Shape& shape, float reach) {
  Tensor x = test::images(shape, 3, 0.5);
  for (float& v : std::span(x.mutable_data<float>(), static_cast<size_t>(x.elements()))) v = (v + 0.5f) * reach;
  return x;
}

void check_zero(const PreparedModel& model, const Tensor& x, const std::string& name) {
  bool found = false;
  model.inspect(x, [&](const std::string& node, const Tensor& q) {
    if (node != name) return;
    found = true;
    const Tensor real = q.to(DType::float32);
    for (const float v : real.values<float>()) CHECK(v == 0);
  });
  CHECK(found);
}

const TensorDescription& row_of(const ModelDescription& d, const std::string& name) {
  for (const TensorDescription& row : d.tensors)
    if (row.name == name) return row;
  fail("no row ", name);
}

}  // namespace

TEST_CASE("a tensor that is always zero has its input's scale, and is 0 however the model is run") {
  const Tensor x = bright({4, 5, 5, 2}, 64);
  for (const March& march : {March::bayes, March::bernoulli, March::nash})
    for (const std::string fake_quant : {"fake_quant", "lsq", "pact"})
      for (const std::string dtype : {"int8", "int4", "int16"}) {
        if (dtype == "int16" && !march.int16_activations) continue;
        CAPTURE(march.name);
        CAPTURE(fake_quant);
        CAPTURE(dtype);
        const auto qconfig = get_default_qconfig({.activation_fake_quant = fake_quant,
                                                  .weight_fake_quant = fake_quant,
                                                  .activation_qkwargs = {{"dtype", dtype}}});
        PreparedModel model = prepare_qat(Dead{}, x, {.qconfig = qconfig, .march = march});
        set_fake_quantize(model, FakeQuantState::calibration);
        for (int i = 0; i < 2; ++i) model(x);
        test::check_agreement(model, x);
        for (const char* name : {"dead", "mul", "avg_pool2d", "after", "hardswish"}) {
          CAPTURE(name);
          check_zero(model, x, name);
        }
        const ModelDescription description = description_of(model);
        const float input = row_of(description, "input").scale_max;
        CHECK(row_of(description, "dead").scale_max == input);
        CHECK(std::find(description.warnings.begin(), description.warnings.end(), "dead: all its values were 0") !=
              description.warnings.end());
        // Training goes on with it, and what was learned of it starts when there is something to learn from.
        for (int i = 0; i < 3; ++i) sum(model(x)).backward();
        test::check_agreement(model, x);
      }
}

TEST_CASE("QAT that never saw anything else than zeros, and a dead tensor that wakes up") {
  const Tensor x = bright({4, 5, 5, 2}, 64);
  for (const std::string fake_quant : {"fake_quant", "lsq", "pact"}) {
    CAPTURE(fake_quant);
    const auto qconfig = get_default_qconfig({.activation_fake_quant = fake_quant});
    PreparedModel model = prepare_qat(Dead{}, x, {.qconfig = qconfig});
    for (int i = 0; i < 2; ++i) sum(model(x)).backward();
    test::check_agreement(model, x);
    check_zero(model, x, "dead");
    model(x * -1.0);  // now the ReLU lets everything through
    const auto* quantizer = model.node_quantizer(static_cast<size_t>(model.graph().find("dead")));
    CHECK_FALSE(quantizer->dead());
    CHECK(quantizer->scale(model.march()) > 0.01f);
    test::check_agreement(model, x * -1.0);
  }
}

TEST_CASE("an input that is always zero has the smallest scale") {
  const Tensor x = Tensor::zeros({2, 5, 5, 2});
  for (const Arithmetic& march : {Arithmetic(March::bayes), Arithmetic(March::bernoulli)}) {
    PreparedModel model = prepare_qat(Dead{}, x, {.march = march});
    set_fake_quantize(model, FakeQuantState::calibration);
    for (int i = 0; i < 2; ++i) model(x);
    CHECK(model.input_quantizer(0).scale(march) == march.on_grid(0x1p-23f));
    test::check_agreement(model, x);
    check_zero(model, x, "dead");
  }
}

TEST_CASE("channels whose weights are zero, and a convolution of nothing but such") {
  struct Zeros : nn::Module {
    nn::Conv2d some{{.in = 2, .out = 3, .kernel = 1}}, none{{.in = 3, .out = 2, .kernel = 1, .bias = false}};
    nn::Linear head{{.in = 2, .out = 2}};
    SINTER_CHILDREN(some, none, head)
    Tensor forward(const Tensor& x) const override { return head(mean(none(relu(some(x))), {1, 2})); }
  };
  Zeros net;
  net.some.weight.tensor().copy_from(Tensor::from({3, 1, 1, 2}, {0, 0, 1, 1, 0, 0}));
  net.none.weight.tensor().copy_from(Tensor::zeros({2, 1, 1, 3}));
  const Tensor x = bright({2, 4, 4, 2}, 64);
  PreparedModel model = prepare_qat(net, x);
  set_fake_quantize(model, FakeQuantState::calibration);
  for (int i = 0; i < 2; ++i) model(x);
  test::check_agreement(model, x);
  for (const char* name : {"none", "mean"}) check_zero(model, x, name);
}

TEST_CASE("a ReLU6 on a scale that has no integer for 6 gives zeros everywhere") {
  struct Net : nn::Module {
    nn::Conv2d conv{{.in = 2, .out = 2, .kernel = 1}};
    SINTER_CHILDREN(conv)
    Tensor forward(const Tensor& x) const override { return conv(relu6(max_pool2d(x, {.kernel = 2}))); }
  };
  struct Fused : nn::Module {
    nn::Conv2d first{{.in = 2, .out = 2, .kernel = 1}}, conv{{.in = 2, .out = 2, .kernel = 1}};
    SINTER_CHILDREN(first, conv)
    Tensor forward(const Tensor& x) const override { return conv(relu6(first(x))); }
  };
  const Tensor x = bright({2, 4, 4, 2}, 3000);
  PreparedModel alone = prepare_qat(Net{}, x);
  set_fake_quantize(alone, FakeQuantState::calibration);
  for (int i = 0; i < 2; ++i) alone(x);
  CHECK(alone.input_quantizer(0).scale(March::bayes) > 12);
  test::check_agreement(alone, x);
  check_zero(alone, x, "relu6");
  const QConfig fixed =
      get_default_qconfig({.activation_observer = "fixed_scale", .activation_qkwargs = {{"scale", 13.0}}});
  PreparedModel fused = prepare_qat(Fused{}, x, {.by_path = {{"first.activation", fixed}}});
  set_fake_quantize(fused, FakeQuantState::calibration);
  for (int i = 0; i < 2; ++i) fused(x);
  test::check_agreement(fused, x);
  check_zero(fused, x, "first");
}

TEST_CASE("a scale beyond what a program has is refused by VALIDATION and by compile alike, with layer and remedy") {
  const auto fixed = [](double scale) {
    return get_default_qconfig({.activation_observer = "fixed_scale", .activation_qkwargs = {{"scale", scale}}});
  };
  CHECK_ERROR(fixed(1e38), "fixed_scale: keyword 'scale' is 1e+38, expected at most 2^100");
  PreparedModel model = prepare_qat(Dead{}, test::images({1, 5, 5, 2}));
  set_fake_quantize(model, FakeQuantState::calibration);
  for (int i = 0; i < 2; ++i) model(bright({1, 5, 5, 2}, 1e33f));
  set_fake_quantize(model, FakeQuantState::validation);
  CHECK_ERROR(model(bright({1, 5, 5, 2}, 1e33f)), "input: its scale is 7.786591e+30");
  CHECK_ERROR(model(bright({1, 5, 5, 2}, 1e33f)), "expected at most 2^100; normalise what the network reads");
  CHECK_ERROR(bpu::compile(model), "input: its scale is 7.786591e+30");
}
