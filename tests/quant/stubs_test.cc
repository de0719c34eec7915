#include "../../quant/stubs.h"

#include "../../core/autograd.h"
#include "networks.h"

using namespace sinter;
using namespace sinter::quant;
using test::images;

namespace {

const Tensor kExample = Tensor::zeros({1, 4, 4, 3});

struct Net : nn::Module {
  QuantStub input;
  nn::Conv2d conv{{.in = 3, .out = 4, .kernel = 1}};
  DeQuantStub output;
  SINTER_CHILDREN(input, conv, output)
  explicit Net(std::optional<double> scale = std::nullopt) : input(scale) {}
  Tensor forward(const Tensor& x) const override { return output(conv(input(x))); }
};

// Two inputs, of which one has a stub, or both.
struct TwoInputs : nn::Module {
  QuantStub first, second;
  nn::Conv2d conv{{.in = 3, .out = 4, .kernel = 1}};
  bool both;
  SINTER_CHILDREN(first, second, conv)
  TwoInputs(double a, double b, bool stubs) : first(a), second(b), both(stubs) {}
  std::vector<Tensor> forward_all(std::span<const Tensor> x) const override {
    return {conv(first(x[0])) + (both ? second(x[1]) : x[1])};
  }
};
const Specs kPair{{DType::float32, {1, 4, 4, 3}}, {DType::float32, {1, 4, 4, 4}}};

}  // namespace

TEST_CASE("in float the stubs are the identity, with its gradient") {
  const Net net = test::randomized(Net(1.0 / 128));
  Tensor x = images({2, 4, 4, 3}), same = x.clone();
  x.set_requires_grad(true);
  same.set_requires_grad(true);
  const Tensor y = net(x), expected = net.conv(same), dy = images(y.shape(), 2);
  CHECK_SAME(y, expected);
  y.backward(dy);
  expected.backward(dy);
  CHECK_SAME(x.grad(), same.grad());
}

TEST_CASE("an input's stub fixes its scale, whatever is seen") {
  PreparedModel model = prepare_qat(test::randomized(Net(1.0 / 128)), kExample, {.march = March::bayes});
  CHECK(model.graph().nodes.size() == 1);  // the stubs are gone
  const ActivationQuantizer& input = model.input_quantizer(0);
  CHECK(input.source() == "QuantStub");
  CHECK(input.config().observer == "fixed_scale");
  CHECK(input.scale(March::bayes) == 1.0f / 128);
  set_fake_quantize(model, FakeQuantState::calibration);
  model(images({2, 4, 4, 3}, 1, 50));
  CHECK(input.scale(March::bayes) == 1.0f / 128);
  // Needs no calibration, as the only other tensor is a head.
  PreparedModel fresh = prepare_qat(test::randomized(Net(1.0 / 128)), kExample, {.march = March::bayes});
  set_fake_quantize(fresh, FakeQuantState::validation);
  const NoGrad no_grad;
  const Tensor x = Tensor::full({1, 4, 4, 3}, 0.5f + 1.0f / 512);
  CHECK_SAME(fresh(x), fresh(Tensor::full({1, 4, 4, 3}, 0.5f)));
}

TEST_CASE("a stub without a scale leaves it to the qconfig") {
  const PreparedModel model = prepare_qat(test::randomized(Net()), kExample, {.march = March::bayes});
  CHECK(model.input_quantizer(0).source() == "default");
  CHECK_FALSE(model.input_quantizer(0).observed());
  CHECK(model.fingerprint() ==
        prepare_qat(test::randomized(Net(0.5)), kExample, {.march = March::bayes}).fingerprint());
}

TEST_CASE("a path of the input's name comes before its stub, the whole model's qconfig and types do not") {
  const QConfig percentile = get_default_qconfig({.activation_observer = "percentile"});
  const auto observer = [&](const PrepareOptions& options) {
    return prepare_qat(test::randomized(Net(0.25)), kExample, options).input_quantizer(0).config().observer;
  };
  CHECK(observer({.qconfig = percentile}) == "fixed_scale");
  CHECK(observer({.by_type = {{"conv2d", percentile}}}) == "fixed_scale");
  CHECK(observer({.by_path = {{"conv", percentile}}}) == "fixed_scale");
  CHECK(observer({.by_path = {{"input", percentile}}}) == "percentile");
}

TEST_CASE("a stub's scale has to be on the march's grid") {
  CHECK_ERROR(prepare_qat(Net(0.3), kExample, {.march = March::bernoulli}),
              "the fixed scale 0.3 is not on the grid of bernoulli, but 0.5 is");
  CHECK_ERROR(prepare_qat(Net(1.0), kExample, {.march = March::bernoulli}),
              "the fixed scale 1 is not on the grid of bernoulli, but 0.5 is");
  const PreparedModel fits = prepare_qat(Net(1.0 / 128), kExample, {.march = March::bernoulli});
  CHECK(fits.input_quantizer(0).scale(March::bernoulli) == 1.0f / 128);
}

TEST_CASE("each input has its own stub, or none") {
  const PreparedModel two(test::randomized(TwoInputs(0.25, 0.5, true)), kPair, {.march = March::bayes});
  CHECK(two.input_quantizer(0).scale(March::bayes) == 0.25f);
  CHECK(two.input_quantizer(1).scale(March::bayes) == 0.5f);
  const PreparedModel one(test::randomized(TwoInputs(0.25, 0.5, false)), kPair, {.march = March::bayes});
  CHECK(one.input_quantizer(0).source() == "QuantStub");
  CHECK(one.input_quantizer(1).source() == "default");
  CHECK_FALSE(one.input_quantizer(1).observed());
}

TEST_CASE("stubs of one input agree, and a stub is of an input") {
  struct Twice : nn::Module {
    QuantStub first, second;
    nn::Conv2d conv{{.in = 3, .out = 3, .kernel = 1}};
    bool inside;
    SINTER_CHILDREN(first, second, conv)
    Twice(double a, double b, bool in) : first(a), second(b), inside(in) {}
    Tensor forward(const Tensor& x) const override {
      return inside ? second(conv(first(x))) : conv(first(x)) + second(x);
    }
  };
  CHECK_ERROR(prepare_qat(Twice(0.25, 0.5, false), kExample),
              "prepare_qat: an input has QuantStubs of scales 0.25 and 0.5");
  const PreparedModel agreed = prepare_qat(Twice(0.25, 0.25, false), kExample, {.march = March::bayes});
  CHECK(agreed.input_quantizer(0).scale(March::bayes) == 0.25f);
  CHECK_ERROR(prepare_qat(Twice(0.25, 0.25, true), kExample),
              "second (QuantStub) reads no input of the network; a scale "
              "inside of it is an observer's: by_path with fixed_scale");
}

TEST_CASE("a scale that is none is refused at once") {
  for (const double scale : {0.0, -1.0, 1e-9, std::numeric_limits<double>::infinity(), std::nan("")})
    CHECK_ERROR(QuantStub{scale}, "QuantStub: scale is ");
  CHECK(QuantStub(0.5).title() == "QuantStub(scale=0.5)");
  CHECK(QuantStub().title() == "QuantStub()");
  CHECK(DeQuantStub().title() == "DeQuantStub()");
}
