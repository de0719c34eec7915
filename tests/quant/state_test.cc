// What a prepared model does in its states, and the orders of calls that cannot be right.

#include "../../bpu/compile.h"
#include "../../nn/fit.h"
#include "../../quant/post_training/bias_correction.h"
#include "../../quant/post_training/equalize.h"
#include "../../quant/recalibrate_bn.h"
#include "prepared.h"

using namespace sinter;
using namespace sinter::quant;
using test::calibrated;
using test::images;
using test::prepared;
using test::ranges;
using test::run;
using test::small_dataset;

namespace {

const Tensor& kExample = test::kSmallExample;

}  // namespace

TEST_CASE("calibration is the float network, whatever train() says, and observes") {
  PreparedModel model = prepared();
  test::SmallNet float_model = test::small_net();
  float_model.eval();
  set_fake_quantize(model, FakeQuantState::calibration);
  const Tensor x = images({4, 8, 8, 3}, 2);
  int64_t batches = 0;
  for (const bool training : {true, false, true}) {
    model.train(training);
    CHECK_CLOSE(model(x).detach(), float_model(x).detach(), 1e-5, 1e-5);
    ++batches;
    for (const ActivationQuantizer* q : model.quantizers()) {
      CHECK(q->batches() == batches);
      CHECK(q->observed());
    }
    CHECK(model.training() == training);
  }
  CHECK(model.input_quantizer(0).range().min == Samples(x).range().min);
  CHECK(model.input_quantizer(0).values() == 3 * 4 * 192);
  // After the activation that was fused into it.
  CHECK(model.node_quantizer(0)->range().min == 0);
}

TEST_CASE("set_fake_quantize works at once and never touches the train flag") {
  PreparedModel model = calibrated();
  for (const bool training : {true, false})
    for (const FakeQuantState s : {FakeQuantState::validation, FakeQuantState::qat, FakeQuantState::calibration}) {
      model.train(training);
      set_fake_quantize(model, s);
      CHECK(model.state() == s);
      CHECK(model.training() == training);
    }
}

TEST_CASE("evaluate observes nothing, in no state") {
  const auto test_data = small_dataset(10);
  PreparedModel model = calibrated();
  for (const bool training : {true, false})
    for (const FakeQuantState s : {FakeQuantState::calibration, FakeQuantState::qat, FakeQuantState::validation}) {
      set_fake_quantize(model, s);
      model.train(training);
      const Tensor before = ranges(model);
      nn::evaluate(model, test_data);
      CHECK_SAME(ranges(model), before);
    }
}

TEST_CASE("QAT observes while training only; validation never does") {
  PreparedModel model = calibrated();
  const Tensor x = images({2, 8, 8, 3}, 9, 3), before = ranges(model);
  set_fake_quantize(model, FakeQuantState::qat);
  model.eval();
  model(x);
  CHECK_SAME(ranges(model), before);
  set_fake_quantize(model, FakeQuantState::validation);
  for (const bool training : {true, false}) {
    model.train(training);
    model(x);
    CHECK_SAME(ranges(model), before);
  }
  set_fake_quantize(model, FakeQuantState::qat);
  model.train();
  model(x);
  for (const ActivationQuantizer* q : model.quantizers()) CHECK(q->batches() == 4);
}

TEST_CASE("QAT in evaluation computes what validation computes") {
  PreparedModel model = calibrated();
  const Tensor x = images({4, 8, 8, 3}, 10);
  model.eval();
  set_fake_quantize(model, FakeQuantState::qat);
  const Tensor qat = run(model, x);
  set_fake_quantize(model, FakeQuantState::validation);
  CHECK_SAME(run(model, x), qat);
  // And close to float, which a wrong scale would not be.
  set_fake_quantize(model, FakeQuantState::calibration);
  CHECK_CLOSE(qat, run(model, x), 0.05, 0.05);
}

TEST_CASE("quantised states before any observation are errors that name the tensors and the call") {
  PreparedModel model = prepared();
  const Tensor x = images({1, 8, 8, 3});
  const std::string expected =
      "prepared model: nothing was observed for input, stem, body.0.conv1, body.0.conv2, body.1.conv1, body.1.conv2, "
      "body.1.shortcut.conv, mean; run data through the model in FakeQuantState::calibration, or call "
      "load_observer_params";
  set_fake_quantize(model, FakeQuantState::validation);
  CHECK_ERROR(model(x), expected);
  CHECK_ERROR(model.inspect(x, [](const std::string&, const Tensor&) {}), "inspect: nothing was observed for input");
  set_fake_quantize(model, FakeQuantState::qat);
  model.eval();
  CHECK_ERROR(model(x), expected);
  model.train();
  CHECK(model(x).shape() == Shape{1, 5});  // observes the batch first
}

TEST_CASE("only QAT can be trained") {
  const auto train_data = small_dataset(10);
  PreparedModel model = calibrated();
  const Tensor x = images({2, 8, 8, 3});
  for (const FakeQuantState s : {FakeQuantState::calibration, FakeQuantState::validation}) {
    set_fake_quantize(model, s);
    const std::string name = to_string(s);
    const Tensor y = model(x);
    CHECK(y.requires_grad());
    CHECK_ERROR(y.backward(Tensor::ones(y.shape())),
                "backward: the prepared model ran in FakeQuantState::" + name +
                    ", which has no gradients; call set_fake_quantize(model, FakeQuantState::qat) before training");
    CHECK_ERROR(nn::fit(model, train_data, {.progress = false}),
                "fit: the prepared model is in FakeQuantState::" + name + "; call set_fake_quantize");
    CHECK_FALSE(run(model, x).requires_grad());
  }
  set_fake_quantize(model, FakeQuantState::qat);
  CHECK_FALSE(run(model, x).requires_grad());
  CHECK(model(x).requires_grad());
}

TEST_CASE("a prepared model is not prepared again, nor inside another") {
  CHECK_ERROR(prepare_qat(prepared(), kExample),
              "prepare_qat: the model is prepared already; give prepare_qat the float network that it was made from");
  struct Outer : nn::Module {
    PreparedModel inner;
    SINTER_CHILDREN(inner)
    explicit Outer(PreparedModel m) : inner(std::move(m)) {}
    Tensor forward(const Tensor& x) const override { return inner(x); }
  };
  CHECK_ERROR(prepare_qat(Outer(prepared()), kExample), "prepare_qat: inner is prepared already");
}

TEST_CASE("networks that differ between train and eval are refused") {
  struct Net : nn::Module {
    nn::Conv2d conv{{.in = 3, .out = 3, .kernel = 1}};
    SINTER_CHILDREN(conv)
    Tensor forward(const Tensor& x) const override { return training_mode() ? relu(conv(x)) : conv(x); }
  };
  CHECK_ERROR(prepare_qat(Net{}, kExample), "the model differs between evaluation and training");
  CHECK_ERROR(prepare_qat(Net{}, kExample), "; expected the same operations in both (dropout and batch normalisation");
}

TEST_CASE("eval() after calibration started does not end it, in whatever order the calls come") {
  const Tensor x = images({2, 8, 8, 3}, 3);
  const auto batches = [](const PreparedModel& model) { return model.input_quantizer(0).batches(); };
  PreparedModel model = prepared();
  set_fake_quantize(model, FakeQuantState::calibration);
  model(x);
  model.eval();
  model(x);
  CHECK(batches(model) == 2);
  set_fake_quantize(model, FakeQuantState::calibration);
  model(x);
  model.train();
  model(x);
  CHECK(batches(model) == 4);
  PreparedModel other = prepared();
  other.eval();
  set_fake_quantize(other, FakeQuantState::calibration);
  other(x);
  CHECK(batches(other) == 1);
  // Nor does a loop without gradients.
  run(other, x);
  CHECK(batches(other) == 2);
}

TEST_CASE("what needs observed scales says which call is missing, and names the tensors") {
  const std::string nothing = ": nothing was observed for input, stem, body.0.conv1, ",
                    missing =
                        "run data through the model in FakeQuantState::calibration, or call load_observer_params "
                        "from a calibrated model, first";
  const auto data = small_dataset(10);
  PreparedModel model = prepared();
  CHECK_ERROR(bpu::compile(model), "compile" + nothing);
  CHECK_ERROR(bpu::compile(model), missing);
  CHECK_ERROR(model.inspect_alone({}, [](const std::string&, const Tensor&) {}), "inspect_alone" + nothing);
  CHECK_ERROR(correct_bias(model, data), "correct_bias" + nothing);
  CHECK_ERROR(model.input_quantizer(0).scale(March::bayes),
              "input: its scale is used but nothing was observed; feed data in FakeQuantState::calibration");
  for (const FakeQuantState state : {FakeQuantState::validation, FakeQuantState::qat}) {
    set_fake_quantize(model, state);
    CHECK_ERROR(nn::evaluate(model, data), "prepared model" + nothing);
    CHECK_ERROR(nn::evaluate(model, data), missing);
  }
  // Frozen observers do not observe, either.
  CHECK_ERROR(nn::fit(model, data, {.progress = false, .freeze_observers_after = 0}), "prepared model" + nothing);
  CHECK_ERROR(nn::fit(model, data, {.progress = false, .freeze_scales_after = 0}), "prepared model" + nothing);
  // One tensor alone is enough for an error.
  PreparedModel part = calibrated();
  Tensor seen = part.node_quantizer(3)->seen_state.tensor();
  seen.copy_from(Tensor::zeros({2}, DType::int64));
  set_fake_quantize(part, FakeQuantState::validation);
  CHECK_ERROR(run(part, kExample), "prepared model: nothing was observed for " + part.node_quantizer(3)->name() + ";");
}

TEST_CASE("a model is compiled for the march that it was prepared for") {
  CHECK_ERROR(bpu::compile(calibrated(), {.march = March::bernoulli}),
              "compile: the march bernoulli was asked for, but the model was prepared for bayes; prepare it again");
}

TEST_CASE("what changes ranges comes before calibration") {
  PreparedModel model = calibrated();
  CHECK_ERROR(equalize(model),
              "equalize: input was observed already, and equalisation changes the ranges; equalise a "
              "freshly prepared model, then run data through it in FakeQuantState::calibration");
  PreparedModel trained = prepared({.qconfig = get_default_qconfig({.weight_fake_quant = "lsq"})});
  trained(images({2, 8, 8, 3}));
  CHECK_ERROR(equalize(trained), "equalise a freshly prepared model");
}

TEST_CASE("options that freeze what a model has not are errors") {
  const auto data = small_dataset(10);
  PreparedModel model = calibrated();
  set_fake_quantize(model, FakeQuantState::qat);
  CHECK_ERROR(nn::fit(model, data, {.progress = false, .freeze_batch_norm_after = 1}),
              "fit: freeze_batch_norm_after is 1, but the model has no batch normalisation to freeze");
  test::SmallNet in_float = test::small_net();
  CHECK_ERROR(nn::fit(in_float, data, {.progress = false, .freeze_observers_after = 1}),
              "fit: freeze_observers_after is 1, but the model has no observers to freeze");
  CHECK_ERROR(nn::fit(in_float, data, {.progress = false, .freeze_scales_after = 1}), "has no scales of activations");
  CHECK_ERROR(recalibrate_bn(model, data),
              "runs no batch normalisation; is it folded into the convolutions already, or ");
}

TEST_CASE("a module that differs between training and evaluation is refused by its name") {
  struct Noise : nn::Module {
    int kind;
    explicit Noise(int k) : kind(k) {}
    SINTER_CHILDREN()
    Tensor forward(const Tensor& x) const override {
      if (kind == 0) return training_mode() ? relu(x) : x + x;
      if (kind == 1) return training_mode() ? relu(x) : x;
      if (kind == 3) return training() ? relu(x) : x;
      return x * (training_mode() ? 1.5 : 1.0);
    }
  };
  struct Net : nn::Module {
    nn::Conv2d conv{{.in = 3, .out = 3, .kernel = 1}};
    std::vector<Noise> noise;
    bool last;
    SINTER_CHILDREN(conv, noise)
    Net(int kind, bool l) : noise{Noise(kind)}, last(l) {}
    Tensor forward(const Tensor& x) const override { return last ? noise[0](conv(x)) : conv(noise[0](x)); }
  };
  for (const bool last : {false, true})
    for (const int kind : {0, 1, 2, 3}) {
      CAPTURE(last);
      CAPTURE(kind);
      CHECK_ERROR(prepare_qat(Net(kind, last), kExample), "the model differs between evaluation and training: ");
      CHECK_ERROR(prepare_qat(Net(kind, last), kExample), "noise.0");
    }
}

TEST_CASE("copies that are changed and tried in turn do not see each other's programs") {
  PreparedModel model = calibrated();
  const Tensor x = images({2, 8, 8, 3}, 4);
  const auto scaled = [](PreparedModel& m, float by) {
    for (const auto& p : m.parameters()) p.value.tensor().detach().copy_from(p.value.tensor().detach() * by);
    set_fake_quantize(m, FakeQuantState::validation);
  };
  for (int i = 1; i < 12; ++i) {
    { const PreparedModel unused = model; }
    PreparedModel trial = model, alone = prepared();
    scaled(trial, 1 - 0.05f * static_cast<float>(i));
    alone.load_state(trial.named_state());
    set_fake_quantize(alone, FakeQuantState::validation);
    CHECK_SAME(run(trial, x), run(alone, x));
  }
}

TEST_CASE("what the program is made of may change between validations") {
  struct Net : nn::Module {
    nn::Conv2d conv{{.in = 3, .out = 3, .kernel = 1}};
    SINTER_CHILDREN(conv)
    Tensor forward(const Tensor& x) const override { return relu6(conv(x)); }
  };
  Net net;
  net.conv.weight.tensor().copy_from(Tensor::full({3, 1, 1, 3}, 4));
  net.conv.bias.tensor().copy_from(Tensor::zeros({3}));
  PreparedModel model = prepare_qat(net, kExample, {.march = March::bayes});
  test::set_ranges(model, 12);
  set_fake_quantize(model, FakeQuantState::validation);
  const Tensor x = Tensor::ones({1, 8, 8, 3});
  CHECK(run(model, x).at({0, 0, 0, 0}) == doctest::Approx(6).epsilon(0.05));
  const PreparedModel before = model;
  model.replace_relu6(0);
  CHECK(run(model, x).at({0, 0, 0, 0}) == doctest::Approx(12).epsilon(0.05));
  CHECK(run(before, x).at({0, 0, 0, 0}) == doctest::Approx(6).epsilon(0.05));
  Tensor bias = model.graph().parameters[1].value.tensor();
  bias.copy_from(Tensor::full({3}, -2));
  CHECK(run(model, x).at({0, 0, 0, 0}) == doctest::Approx(10).epsilon(0.05));
}
