#include "../../quant/calibration_v1.h"

#include "../../core/ops/softmax.h"
#include "../../nn/checkpoint.h"
#include "../../nn/fit.h"
#include "../../quant/stubs.h"
#include "prepared.h"

using namespace sinter;
using namespace sinter::quant;
using test::check_same_state;
using test::images;
using test::run;
using test::state_of;

namespace {

const Tensor& kExample = test::kSmallExample;

template <class Model>
void feed(const Model& model) {
  for (uint64_t batch = 0; batch < 3; ++batch) model(images({4, 8, 8, 3}, batch));
}

CalibrationModel calibrated(const QConfig& qconfig = get_default_calib_qconfig()) {
  CalibrationModel model = prepare_calibration(test::small_net(), kExample, qconfig);
  feed(model);
  return model;
}

const ActivationQuantizer& find(const CalibrationModel& model, const std::string& name) {
  for (const ActivationQuantizer* quantizer : model.quantizers())
    if (quantizer->name() == name) return *quantizer;
  fail("no ", name);
}

}  // namespace

TEST_CASE("the older calibration gives the numbers of the three states") {
  for (const auto& entry : test::kObservers)
    for (const std::string batch_norm : {"fuse_bn", "with_bn"}) {
      CAPTURE(entry.first);
      CAPTURE(batch_norm);
      const CalibrationModel older =
          calibrated(get_default_calib_qconfig({.observer = entry.first, .qkwargs = entry.second}));
      const PrepareOptions options{.batch_norm = batch_norm, .march = March::bayes};
      PrepareOptions observing = options;
      observing.qconfig = get_default_qconfig({.activation_observer = entry.first, .activation_qkwargs = entry.second});
      PreparedModel calibration = prepare_qat(test::small_net(), kExample, observing),
                    expected = prepare_qat(test::small_net(), kExample, options);
      set_fake_quantize(calibration, FakeQuantState::calibration);
      feed(calibration);
      load_observer_params(calibration, expected);
      PreparedModel found = prepare_qat(older, kExample, options);
      CHECK(found.state() == FakeQuantState::qat);
      check_same_state(found, state_of(expected));
      // In every state from then on, and through training.
      const Tensor x = images({4, 8, 8, 3}, 9);
      for (PreparedModel* model : {&found, &expected}) {
        const Tensor y = (*model)(x);
        y.backward(images(y.shape(), 4));
        optim::AnyOptimizer optimizer = optim::SGD{{.lr = 0.01}};
        optimizer->step(model->parameters());
        set_fake_quantize(*model, FakeQuantState::validation);
      }
      check_same_state(found, state_of(expected));
      CHECK_SAME(run(found, x), run(expected, x));
    }
}

TEST_CASE("it is the float network in evaluation behaviour, and observes whatever train() says") {
  test::SmallNet net = test::small_net();
  CalibrationModel model = prepare_calibration(net, kExample);
  net.eval();
  const Tensor x = images({4, 8, 8, 3}, 2);
  int64_t batches = 0;
  for (const bool training : {true, false, true}) {
    model.train(training);
    const Tensor y = model(x);
    CHECK_CLOSE(y, net(x).detach(), 1e-5, 1e-5);
    CHECK_FALSE(y.requires_grad());
    ++batches;
    for (const ActivationQuantizer* quantizer : model.quantizers()) CHECK(quantizer->batches() == batches);
    CHECK(model.training() == training);
  }
  nn::evaluate(model, test::small_dataset(10));
  for (const ActivationQuantizer* quantizer : model.quantizers()) CHECK(quantizer->batches() == batches);
}

TEST_CASE("feature maps alone are observed; the model is copied and stays as it is") {
  test::SmallNet net = test::small_net();
  const auto before = state_of(net);
  CalibrationModel model = prepare_calibration(net, kExample);
  feed(model);
  check_same_state(net, before);
  std::vector<std::string> names;
  for (const ActivationQuantizer* quantizer : model.quantizers()) names.push_back(quantizer->name());
  CHECK(joined(names) ==
        "input, stem, body.0.conv1, body.0.conv2, body.1.conv1, body.1.conv2, body.1.shortcut.conv, mean, head");
  CHECK(model.parameters().empty());
  // Neither the float model nor what QAT makes of it reaches the other.
  for (auto& parameter : net.parameters())
    parameter.value.tensor().copy_from(Tensor::zeros(parameter.value.tensor().shape()));
  PreparedModel first = prepare_qat(model, kExample);
  for (auto& parameter : first.parameters())
    parameter.value.tensor().copy_from(Tensor::zeros(parameter.value.tensor().shape()));
  const PreparedModel second = prepare_qat(model, kExample), expected = prepare_qat(test::small_net(), kExample);
  for (size_t i = 0; i < expected.parameters().size(); ++i)
    CHECK_SAME(second.parameters()[i].value.tensor(), expected.parameters()[i].value.tensor());
}

TEST_CASE("observers of tensors that QAT does not quantise are dropped, whatever QAT's qconfig") {
  const CalibrationModel model = calibrated();
  CHECK(find(model, "head").batches() == 3);
  const PreparedModel plain = prepare_qat(model, kExample, get_default_qconfig());
  CHECK(plain.quantizers().size() == 8);  // the head's accumulators have no scale
  const PreparedModel lsq =
      prepare_qat(model, kExample, get_default_qconfig({.activation_fake_quant = "lsq", .weight_fake_quant = "lsq"}));
  const Range range = find(model, "stem").range();
  CHECK(lsq.node_quantizer(0)->scale(March::bayes) == scale_from_range(range.min, range.max));
  PreparedModel partly = prepare_qat(
      model, kExample, {.by_path = {{"body.1", run_in_float()}, {"mean", run_in_float()}}, .march = March::bernoulli});
  CHECK(partly.march() == March::bernoulli);
  CHECK(partly.node_quantizer(static_cast<size_t>(partly.graph().find("body.1.conv1"))) == nullptr);
  set_fake_quantize(partly, FakeQuantState::validation);
  CHECK(run(partly, images({1, 8, 8, 3})).shape() == Shape{1, 5});
}

TEST_CASE("any float network can be calibrated, also what QAT leaves in float; stubs keep their scales") {
  struct Net : nn::Module {
    QuantStub quantize{1.0 / 64};
    nn::Conv2d first{{.in = 3, .out = 4, .kernel = 1}}, second{{.in = 4, .out = 4, .kernel = 1}};
    SINTER_CHILDREN(quantize, first, second)
    Tensor forward(const Tensor& x) const override { return second(softmax(first(quantize(x)))); }
  };
  const CalibrationModel model = prepare_calibration(test::randomized(Net{}), kExample);
  feed(model);
  CHECK(model.quantizers().size() == 4);
  CHECK_ERROR(prepare_qat(model, kExample), "softmax: no integer form of softmax");
  PreparedModel qat = prepare_qat(model, kExample, {.by_type = {{"softmax", run_in_float()}}, .march = March::bayes});
  CHECK(qat.input_quantizer(0).scale(March::bayes) == 1.0f / 64);
  CHECK(qat.node_quantizer(1)->range().max == find(model, "softmax").range().max);
  set_fake_quantize(qat, FakeQuantState::validation);
  CHECK(run(qat, images({1, 8, 8, 3})).shape() == Shape{1, 8, 8, 4});
}

TEST_CASE("networks of several inputs, an example each") {
  struct Net : nn::Module {
    nn::Conv2d conv{{.in = 3, .out = 4, .kernel = 1}};
    SINTER_CHILDREN(conv)
    std::vector<Tensor> forward_all(std::span<const Tensor> x) const override { return {conv(x[0]) + x[1]}; }
  };
  const std::vector<Tensor> examples{Tensor::zeros({1, 4, 4, 3}), Tensor::zeros({4, 4, 4})};
  const CalibrationModel model = prepare_calibration(test::randomized(Net{}), examples);
  const std::vector<Tensor> x{images({2, 4, 4, 3}), images({2, 4, 4, 4}, 1)};
  model.forward_all(x);
  PreparedModel qat = prepare_qat(model, examples);
  for (size_t i = 0; i < 2; ++i) CHECK(qat.input_quantizer(i).range().max == find(model, text("input", i)).range().max);
  set_fake_quantize(qat, FakeQuantState::validation);
  CHECK(qat.forward_all(x)[0].shape() == Shape{2, 4, 4, 4});
  CHECK_ERROR(prepare_qat(model, examples[0]), "prepare_qat: got 1 examples, the calibration had 2");
}

TEST_CASE("what was observed is saved and loaded, and goes on from there") {
  const test::TemporaryDirectory directory;
  const QConfig qconfig = get_default_calib_qconfig({.observer = "kl"});
  CalibrationModel whole = calibrated(qconfig), loaded = prepare_calibration(test::small_net(), kExample, qconfig);
  nn::save(whole, directory / "calibration");
  nn::load(loaded, directory / "calibration");
  CalibrationModel copy = whole;
  for (const CalibrationModel* model : {&whole, &loaded, &copy}) (*model)(images({4, 8, 8, 3}, 20, 2));
  check_same_state(loaded, state_of(whole));
  check_same_state(copy, state_of(whole));
  const auto refused = [&](CalibrationModel other, const std::string& expected) {
    const auto before = state_of(other);
    CHECK_ERROR(nn::load(other, directory / "calibration"), expected);
    check_same_state(other, before);
  };
  refused(calibrated(get_default_calib_qconfig({.observer = "mse"})), "calibration: the observers are fake_quant kl");
  refused(prepare_calibration(test::EveryLayer{}, kExample, qconfig), "calibration: the file is of another network");
  nn::save(test::small_net(), directory / "calibration");
  refused(prepare_calibration(test::small_net(), kExample, qconfig),
          "calibration: the file holds another kind of model");
}

TEST_CASE("the older calibration's wrong orders of calls say which call is missing") {
  CalibrationModel model = prepare_calibration(test::small_net(), kExample);
  CHECK_ERROR(prepare_qat(model, kExample),
              "prepare_qat: the calibration observed nothing; run data through the model "
              "that prepare_calibration gave, first");
  feed(model);
  CHECK_ERROR(prepare_qat(model, Tensor::zeros({1, 8, 9, 3})),
              "prepare_qat: the example is float32 [1,8,9,3], the calibration's was float32 [1,8,8,3]");
  CHECK(prepare_qat(model, Tensor::zeros({8, 8, 3})).quantizers().size() == 8);
  CHECK_ERROR(nn::fit(model, test::small_dataset(10), {.progress = false}),
              "fit: the model is being calibrated; call prepare_qat(calibrated, example, qconfig)");
  const nn::Module& as_module = model;
  CHECK_ERROR(prepare_qat(as_module, kExample),
              "a model that is being calibrated is no part of another; give it to "
              "prepare_qat");
  CHECK_ERROR(prepare_calibration(test::prepared(), kExample), "prepare_calibration: the model is prepared already");
  CHECK_ERROR(prepare_calibration(test::small_net(), kExample, get_default_qconfig({.activation_fake_quant = none})),
              "prepare_calibration: the qconfig has no observer for feature maps");
  CHECK_ERROR(get_default_calib_qconfig({.observer = "minmax"}), "observer 'minmax' is unknown");
  CHECK_ERROR(model(Tensor::zeros({1, 7, 8, 3})),
              "calibration: input is float32 [1,7,8,3], expected float32 [1,8,8,3]");
}
