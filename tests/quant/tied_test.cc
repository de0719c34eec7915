// One parameter in several places of a network.
#include "../../core/ops/linear.h"
#include "../../nn/checkpoint.h"
#include "../../nn/layers/conv_transpose2d.h"
#include "../../nn/layers/prelu.h"
#include "../../nn/optim/optimizer.h"
#include "../../quant/analysis/describe.h"
#include "../../quant/analysis/warnings.h"
#include "../../quant/post_training/equalize.h"
#include "../bpu/agreement.h"
#include "../data/files.h"
#include "networks.h"

using namespace sinter;
using namespace sinter::quant;
using test::images;

namespace {

using Names = std::vector<std::string>;

const Tensor kExample = Tensor::zeros({1, 6, 6, 4});

// `a` and `b`: from 4 to 4 channels, one set of weights, biases of their own.
struct Tied : nn::Module {
  nn::Conv2d a{{.in = 4, .out = 4, .kernel = 3, .padding = 1}};
  nn::Conv2d b{{.in = 4, .out = 4, .kernel = 3, .padding = 1}};
  nn::BatchNorm2d bn{4}, bn2{4};
  nn::PReLU slopes{{.channels = 4}};
  SINTER_CHILDREN(a, b, bn, bn2, slopes)
};

// A linear layer's weights, also read by one over four axes.
struct Tokens : nn::Module {
  nn::Linear a{{.in = 4, .out = 4}};
  nn::BatchNorm2d bn{4};
  bool normalised;
  explicit Tokens(bool with_norm) : normalised(with_norm) {}
  SINTER_CHILDREN(a, bn)
  Tensor forward(const Tensor& x) const override {
    const Tensor y = a(mean(linear(x, a.weight), {1, 2}));
    return normalised ? relu(bn(y)) : y;
  }
};

template <class F>
struct Net final : Tied {
  F f;
  explicit Net(F function) : f(std::move(function)) {
    static_cast<Tied&>(*this) = test::randomized(Tied{});
    b.weight = a.weight.share();
  }
  Net(const Net& other) : Tied(other), f(other.f) { b.weight = a.weight.share(); }
  Tensor forward(const Tensor& x) const override { return f(static_cast<const Tied&>(*this), x); }
  const std::type_info& members_listed_by() const override { return typeid(Net); }
};

Names trained(const PreparedModel& model) {
  Names names;
  for (const NamedParameter& p : model.graph().parameters)
    if (p.value.trained()) names.push_back(p.name);
  std::sort(names.begin(), names.end());
  return names;
}

const Node& node(const PreparedModel& model, const std::string& name) {
  return model.graph().nodes.at(static_cast<size_t>(model.graph().find(name)));
}

Tensor gradient(const std::vector<NamedParameter>& parameters, const std::string& name) {
  for (const NamedParameter& p : parameters)
    if (p.name == name) return p.value.tensor().grad();
  fail("no parameter ", name);
}

double largest(const Tensor& x) {
  double reach = 0;
  for (const float v : x.values<float>()) reach = std::max(reach, std::abs(static_cast<double>(v)));
  return reach;
}

// The gradient that QAT gives `there` is the float network's of `here`, but for the noise of 8 bits (a use that was
// missing would be about half of it).
template <class Model>
void check_gradient(const Model& net, PreparedModel& model, const std::string& here, const std::string& there) {
  const Tensor x = images({32, 6, 6, 4}), towards = images({32, 6, 6, 4}, 7) + 1.0;
  Model copy = net;
  copy.eval();
  sum(copy(x) * towards).backward();
  set_fake_quantize(model, FakeQuantState::calibration);
  {
    const NoGrad no_grad;
    model(x);
  }
  set_fake_quantize(model, FakeQuantState::qat);
  model.eval();
  optim::zero_grad(model.parameters());
  sum(model(x) * towards).backward();
  const Tensor expected = gradient(copy.parameters(), here), found = gradient(model.parameters(), there);
  CHECK_CLOSE(found, expected, 0, 0.1 * largest(expected));
}

}  // namespace

TEST_CASE("tied weights with biases of their own are one parameter in QAT, whose gradient is that of both uses") {
  const Net net([](const Tied& l, const Tensor& x) { return l.b(relu(l.a(x))); });
  PreparedModel model = prepare_qat(net, kExample, {.march = March::bayes});
  CHECK(trained(model) == Names{"a.bias", "a.weight", "b.bias"});
  CHECK(node(model, "a").inputs[1] == node(model, "b").inputs[1]);
  CHECK(model.weight_quantizer(0) == model.weight_quantizer(1));
  CHECK(model.untied().empty());
  Names lines = notes(model);
  CHECK(lines == Names{"a, b: layers with the same weights", "b: of high precision, int32 accumulators as float32"});
  check_gradient(net, model, "a.weight", "a.weight");
  check_gradient(net, model, "b.bias", "b.bias");
  test::check_agreement(model, images({2, 6, 6, 4}));
}

TEST_CASE("the state of tied weights is one entry, which is saved and loaded") {
  const Net net([](const Tied& l, const Tensor& x) { return l.b(relu(l.a(x))); });
  const auto prepared = [&] {
    return prepare_qat(net, kExample, {.qconfig = get_default_qconfig({.weight_fake_quant = "lsq"})});
  };
  PreparedModel model = prepared(), other = prepared();
  Names names;
  for (const auto& p : model.named_state())
    if (p.name.find("weight") != std::string::npos) names.push_back(p.name);
  CHECK(names == Names{"a.weight", "a.weight.scale", "a.weight.frozen_scale"});
  const Tensor x = images({2, 6, 6, 4});
  sum(model(x)).backward();
  model.graph().parameters[0].value.tensor().detach().mutable_data<float>()[0] = 3;
  const test::TemporaryDirectory directory;
  nn::save(model, directory / "tied");
  nn::load(other, directory / "tied");
  const NoGrad no_grad;
  model.eval();
  other.eval();
  CHECK_SAME(other(x), model(x));
}

TEST_CASE("tied biases, slopes and whole layers stay tied") {
  struct Biases : nn::Module {
    nn::Conv2d a{{.in = 4, .out = 4, .kernel = 3, .padding = 1}}, b{{.in = 4, .out = 4, .kernel = 1}};
    nn::PReLU one{{.channels = 4}}, two{{.channels = 4}};
    SINTER_CHILDREN(a, b, one, two)
    Tensor forward(const Tensor& x) const override { return two(b(one(a(x)))); }
  };
  Biases net = test::randomized(Biases{});
  net.b.bias = net.a.bias.share();
  net.two.weight = net.one.weight.share();
  const PreparedModel model = prepare_qat(net, kExample);
  CHECK(trained(model) == Names{"a.bias", "a.weight", "b.weight", "one.weight"});
  const Net twice([](const Tied& l, const Tensor& x) { return l.a(relu(l.a(x))) + l.b(x); });
  CHECK(trained(prepare_qat(twice, kExample)) == Names{"a.bias", "a.weight", "b.bias"});
}

TEST_CASE("one linear layer's weights in two places") {
  struct Heads : nn::Module {
    nn::Linear a{{.in = 4, .out = 4}}, b{{.in = 4, .out = 4, .bias = false}};
    SINTER_CHILDREN(a, b)
    Tensor forward(const Tensor& x) const override { return b(relu(a(mean(x, {1, 2})))); }
  };
  Heads net = test::randomized(Heads{});
  net.b.weight = net.a.weight.share();
  const PreparedModel model = prepare_qat(net, kExample);
  CHECK(trained(model) == Names{"a.bias", "a.weight", "b.bias"});
}

TEST_CASE("weights that an operation in float reads, too, stay one parameter") {
  const PreparedModel model = prepare_qat(Tokens(false), kExample, {.by_path = {{"linear", run_in_float()}}});
  CHECK(trained(model) == Names{"a.bias", "linear.bias", "linear.weight"});
  const Net in_float([](const Tied& l, const Tensor& x) { return l.b(relu(l.a(x))); });
  const PreparedModel partly = prepare_qat(in_float, kExample, {.by_path = {{"a", run_in_float()}}});
  CHECK(trained(partly) == Names{"a.bias", "a.weight", "b.bias"});
  CHECK(partly.weight_quantizer(0) == nullptr);
  CHECK(partly.weight_quantizer(1)->name() == "b");
}

TEST_CASE("one convolution with a batch normalisation for each call: what cannot stay tied is noted") {
  const Net net([](const Tied& l, const Tensor& x) { return l.bn2(l.a(relu(l.bn(l.a(x))))); });
  PreparedModel model = prepare_qat(net, kExample);
  CHECK(trained(model) == Names{"a#2.bias", "a#2.weight", "a.bias", "a.weight"});
  const std::string why = " here, which are trained apart, as different batch normalisations are folded into them";
  CHECK(model.untied() == Names{"a.weight: one parameter in the float network, but a.weight, a#2.weight" + why,
                                "a.bias: one parameter in the float network, but a.bias, a#2.bias" + why});
  CHECK(describe(model).find("note: a.weight: one parameter in the float network") != std::string::npos);

  const Net half([](const Tied& l, const Tensor& x) { return l.b(relu(l.bn(l.a(x)))); });
  CHECK(prepare_qat(half, kExample).untied() ==
        Names{"a.weight: one parameter in the float network, but a.weight, b.weight here, which are trained apart, as "
              "batch normalisation is folded into some of them only"});

  // The same normalisation: one parameter.
  const Net same([](const Tied& l, const Tensor& x) { return l.bn(l.a(relu(l.bn(l.a(x))))); });
  CHECK(trained(prepare_qat(same, kExample)) == Names{"a.bias", "a.weight"});
  // One normalisation behind the layers of one set of weights: the biases alone differ.
  const Net both([](const Tied& l, const Tensor& x) { return l.bn(l.b(relu(l.bn(l.a(x))))); });
  const PreparedModel of_both = prepare_qat(both, kExample);
  CHECK(trained(of_both) == Names{"a.bias", "a.weight", "b.bias"});
  CHECK(of_both.untied() == Names{"bn.bias: one parameter in the float network, but a.bias, b.bias here, which are "
                                  "trained apart, as it is folded into each of them"});
}

TEST_CASE("a batch normalisation behind two convolutions is folded into both, and noted") {
  struct Two : nn::Module {
    nn::Conv2d a{{.in = 4, .out = 4, .kernel = 3, .padding = 1, .bias = false}};
    nn::Conv2d b{{.in = 4, .out = 4, .kernel = 1, .bias = false}};
    nn::BatchNorm2d bn{4};
    SINTER_CHILDREN(a, b, bn)
    Tensor forward(const Tensor& x) const override { return relu(bn(b(relu(bn(a(x)))))); }
  };
  const Two net = test::randomized(Two{});
  PreparedModel model = prepare_qat(net, kExample, {.march = March::bayes});
  CHECK(trained(model) == Names{"a.bias", "a.weight", "b.weight"});
  CHECK(model.untied() == Names{"bn.weight: one parameter in the float network, but a.weight, b.weight here, which are "
                                "trained apart, as it is folded into each of them"});
  check_gradient(net, model, "bn.bias", "a.bias");
  // A bias that two layers have cannot be scaled for one of them.
  PreparedModel equal = prepare_qat(net, kExample);
  const auto report = equalize(equal);
  CHECK(report.layers[0].skipped == "the biases of a are those of b, too");
  const Tensor x = images({2, 6, 6, 4});
  CHECK_CLOSE(equal.graph()(x), prepare_qat(net, kExample).graph()(x), 1e-5, 1e-5);
}

TEST_CASE("with_bn keeps the weights tied, and each call its own scales") {
  const Net net([](const Tied& l, const Tensor& x) { return l.bn2(l.a(relu(l.bn(l.a(x))))); });
  PreparedModel model = prepare_qat(
      net, kExample,
      {.qconfig = get_default_qconfig({.weight_fake_quant = "lsq"}), .batch_norm = "with_bn", .march = March::bayes});
  CHECK(trained(model) == Names{"a.bias", "a.weight", "bn.bias", "bn.weight", "bn2.bias", "bn2.weight"});
  CHECK(model.untied().empty());
  CHECK(model.weight_quantizer(0)->name() == "a");
  CHECK(model.weight_quantizer(1)->name() == "a#2");
  CHECK(notes(model)[0] == "a, a#2: calls of one layer");
  const Tensor x = images({2, 6, 6, 4});
  sum(model(x)).backward();  // training starts both
  test::check_agreement(model, x);
}

TEST_CASE("a convolution and a transposed one share what a rotation leaves alone") {
  struct Mirror : nn::Module {
    int64_t size;
    nn::Conv2d down;
    nn::ConvTranspose2d up;
    explicit Mirror(int64_t kernel)
        : size(kernel),
          down{{.in = 4, .out = 4, .kernel = kernel, .padding = kernel / 2}},
          up{{.in = 4, .out = 4, .kernel = kernel, .padding = kernel / 2}} {}
    SINTER_CHILDREN(down, up)
    Tensor forward(const Tensor& x) const override { return up(relu(down(x))); }
  };
  const auto tied = [](int64_t kernel) {
    Mirror net = test::randomized(Mirror(kernel));
    net.up.weight = net.down.weight.share();
    return prepare_qat(net, kExample);
  };
  CHECK(trained(tied(1)) == Names{"down.bias", "down.weight", "up.bias"});
  CHECK(tied(1).untied().empty());
  CHECK(trained(tied(3)) == Names{"down.bias", "down.weight", "up.bias", "up.weight"});
  CHECK(tied(3).untied() == Names{"down.weight: one parameter in the float network, but down.weight, up.weight here, "
                                  "which are trained apart, as the weights of a transposed convolution are rotated"});
}

TEST_CASE("names stay unique where a layer's weights are both folded and read as they are") {
  const PreparedModel model = prepare_qat(Tokens(true), kExample, {.by_path = {{"linear", run_in_float()}}});
  CHECK(trained(model) == Names{"a.bias", "a.weight", "linear.bias", "linear.weight"});
  CHECK(model.untied() ==
        Names{"a.weight: one parameter in the float network, but linear.weight, a.weight here, which are "
              "trained apart, as batch normalisation is folded into some of them only"});
}

TEST_CASE("a batch normalisation by constants is folded, as one by parameters") {
  const Net net([](const Tied& l, const Tensor& x) {
    const Tensor ones = Tensor::full({4}, 2), zeros = Tensor::zeros({4});
    return relu(batch_norm(l.a(x), ones, zeros, zeros, ones));
  });
  for (const char* batch_norm : {"fuse_bn", "with_bn"}) {
    const PreparedModel model = prepare_qat(net, kExample, {.batch_norm = batch_norm});
    CHECK(model.graph().nodes.size() == 1);
    CHECK(trained(model) == Names{"a.bias", "a.weight"});
    const Tensor x = images({2, 6, 6, 4});
    Net copy = net;
    copy.eval();
    CHECK_CLOSE(model.graph()(x), copy(x).detach(), 1e-5, 1e-5);
  }
}
