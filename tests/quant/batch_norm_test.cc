// Batch normalisation in QAT: "with_bn", "fuse_bn" and what freezes it.

#include "../../nn/checkpoint.h"
#include "../../nn/fit.h"
#include "../../nn/freeze.h"
#include "../../quant/recalibrate_bn.h"
#include "../data/files.h"
#include "float_qat.h"

using namespace sinter;
using namespace sinter::quant;
using test::check_against_float;
using test::images;
using test::kExact;

namespace {

const Tensor kExample = Tensor::zeros({1, 8, 8, 3});

// Every kind of layer that normalises: a convolution with a bias, a depthwise one, one with a residual, a linear one.
struct Net : nn::Module {
  nn::Conv2d stem{{.in = 3, .out = 6, .kernel = 3, .padding = 1}};
  nn::Conv2d depthwise{{.in = 6, .out = 6, .kernel = 3, .padding = 1, .groups = 6, .bias = false}};
  nn::Conv2d residual{{.in = 6, .out = 6, .kernel = 1, .bias = false}};
  nn::Linear hidden{{.in = 6, .out = 8}}, head{{.in = 8, .out = 4}};
  nn::BatchNorm2d stem_bn{6}, depthwise_bn{6}, residual_bn{6, {.momentum = 0.25}}, hidden_bn{8};
  SINTER_CHILDREN(stem, depthwise, residual, hidden, head, stem_bn, depthwise_bn, residual_bn, hidden_bn)

  Tensor forward(const Tensor& x) const override {
    const Tensor first = relu(stem_bn(stem(x))), second = relu6(depthwise_bn(depthwise(first)));
    const Tensor third = relu(residual_bn(residual(second)) + first);
    return head(relu(hidden_bn(hidden(mean(third, {1, 2})))));
  }
};

void set(const Parameter& parameter, int64_t channel, float value) {
  Tensor t = parameter.tensor();
  t.mutable_data<float>()[channel] = value;
}

// Some channels are negative.
Net net(uint64_t seed = 1) {
  Net net = test::randomized(Net{}, seed);
  for (const auto* bn : {&net.stem_bn, &net.depthwise_bn, &net.residual_bn, &net.hidden_bn})
    for (int64_t o = 0; o < 6; ++o) set(bn->weight, o, o % 3 == 1 ? -0.7f : 1.2f - 0.1f * static_cast<float>(o));
  return net;
}

PrepareOptions with_bn(const QConfig& qconfig = get_default_qconfig(), const March& march = kExact) {
  return {.qconfig = qconfig, .batch_norm = "with_bn", .march = march};
}

PreparedModel calibrated(const nn::Module& model, const PrepareOptions& options) {
  PreparedModel result = prepare_qat(model, kExample, options);
  set_fake_quantize(result, FakeQuantState::calibration);
  result(images({8, 8, 8, 3}, 5));
  set_fake_quantize(result, FakeQuantState::qat);
  return result;
}

Tensor run(PreparedModel& model, const Tensor& x, FakeQuantState state) {
  const NoGrad no_grad;
  set_fake_quantize(model, state);
  model.eval();
  const Tensor y = model(x);
  set_fake_quantize(model, FakeQuantState::qat);
  model.train();
  return y;
}

Tensor find(const nn::Module& model, const std::string& name) {
  for (const auto& state : model.named_state())
    if (state.name == name) return state.value.tensor();
  FAIL("nothing is called " << name);
  return {};
}

std::vector<Tensor> statistics(const PreparedModel& model) {
  std::vector<Tensor> all;
  for (const auto& state : model.named_state())
    if (state.name.ends_with("running_mean") || state.name.ends_with("running_var"))
      all.push_back(state.value.tensor().clone());
  return all;
}

bool same(const std::vector<Tensor>& a, const std::vector<Tensor>& b) {
  for (size_t i = 0; i < a.size(); ++i)
    if (!test::difference(a[i], b[i], 0, 0).empty()) return false;
  return a.size() == b.size();
}

data::ImageDataset dataset(int64_t count) {
  Random random(5);
  Tensor pixels = Tensor::empty({count, 8, 8, 3}, DType::uint8), labels = Tensor::empty({count}, DType::int64);
  for (int64_t i = 0; i < count; ++i) {
    labels.mutable_data<int64_t>()[i] = i % 4;
    for (int64_t k = 0; k < 192; ++k)
      pixels.mutable_data<uint8_t>()[i * 192 + k] = static_cast<uint8_t>(50 * (i % 4) + random.below(100));
  }
  return {pixels, labels, {.mean = {0.5}, .std = {0.5}}};
}

}  // namespace

TEST_CASE("a step with batch normalisation in training is that of a float network with fake quantisation") {
  PreparedModel model = calibrated(net(), with_bn());
  CHECK(model.graph().nodes.size() == 6);  // every normalisation, addition and activation is a convolution's
  check_against_float(model, images({8, 8, 8, 3}, 7), true);
}

TEST_CASE("learned scales of weights that are normalised are those of the folded weights") {
  for (const std::string fake_quant : {"lsq", "pact"}) {
    CAPTURE(fake_quant);
    const QConfig qconfig =
        get_default_qconfig({.weight_fake_quant = fake_quant, .weight_qkwargs = {{"dtype", "int4"}}});
    PreparedModel model = calibrated(net(2), with_bn(qconfig));
    model(images({8, 8, 8, 3}, 6));  // they start
    for (const auto& parameter : model.parameters()) {
      if (!parameter.name.ends_with(".weight.scale") && !parameter.name.ends_with(".weight.alpha")) continue;
      Tensor numbers = parameter.value.tensor();
      for (int64_t o = 0; o < numbers.elements(); ++o) numbers.mutable_data<float>()[o] *= 0.4f;
    }
    PreparedModel frozen = model;
    check_against_float(model, images({8, 8, 8, 3}, 7), true);
    frozen.freeze_bn();
    check_against_float(frozen, images({8, 8, 8, 3}, 7));
  }
}

TEST_CASE("in evaluation, and where it is frozen, batch normalisation is folded, with its gradients") {
  PreparedModel model = calibrated(net(3), with_bn());
  const std::vector<Tensor> before = statistics(model);
  PreparedModel frozen = model;
  model.eval();
  check_against_float(model, images({8, 8, 8, 3}, 7));
  frozen.freeze_bn();
  CHECK(frozen.bn_frozen());
  check_against_float(frozen, images({8, 8, 8, 3}, 7));
  CHECK(same(statistics(model), before));
  CHECK(same(statistics(frozen), before));
  frozen.freeze_bn(false);
  frozen(images({8, 8, 8, 3}, 7));
  CHECK_FALSE(same(statistics(frozen), before));
}

TEST_CASE("validation is QAT in evaluation and the folded network, bit for bit") {
  for (const March& march : {March::bayes, March::bernoulli}) {
    Net model = net(4);
    set(model.depthwise_bn.weight, 2, 0);
    PreparedModel trained = calibrated(model, with_bn(get_default_qconfig(), march));
    const Tensor x = images({4, 8, 8, 3}, 8);
    for (uint64_t i = 0; i < 2; ++i) trained(images({8, 8, 8, 3}, 20 + i));
    const Tensor validated = run(trained, x, FakeQuantState::validation);
    CHECK_SAME(run(trained, x, FakeQuantState::qat), validated);
    // The float network with these statistics, folded before it is prepared.
    for (const auto& state : trained.named_state())
      for (auto& [name, own] : model.named_state())
        if (state.name == name) own.tensor().copy_from(state.value.tensor());
    PreparedModel folded = prepare_qat(model, kExample, {.march = march});
    load_observer_params(trained, folded);
    CHECK_SAME(run(folded, x, FakeQuantState::validation), validated);
    CHECK_CLOSE(run(folded, x, FakeQuantState::calibration), run(trained, x, FakeQuantState::calibration), 1e-5, 1e-5);
  }
}

TEST_CASE("a gamma of 0 has a gradient, gives what it should and can leave 0") {
  for (const std::string fake_quant : {"fake_quant", "lsq", "pact"}) {
    CAPTURE(fake_quant);
    Net model = net(5);
    for (const auto* bn : {&model.stem_bn, &model.depthwise_bn, &model.residual_bn, &model.hidden_bn}) {
      set(bn->weight, 0, 0);
      set(bn->bias, 0, 0.75f);
    }
    // Without warm-up: where this batch's range weighs more, a channel of nothing but beta is its end, and saturates.
    const auto qconfig =
        get_default_qconfig({.weight_fake_quant = fake_quant, .activation_qkwargs = {{"warm_up", false}}});
    PreparedModel q = calibrated(model, with_bn(qconfig, March::bayes));
    const Tensor x = images({8, 8, 8, 3}, 9);
    const auto check_stem = [&] {
      set_fake_quantize(q, FakeQuantState::validation);
      q.inspect(x, [&](const std::string& node, const Tensor& integers) {
        if (node != "stem") return;
        const float scale = q.node_quantizer(0)->scale(March::bayes);
        for (int64_t i = 0; i < integers.elements(); i += 6)
          CHECK(integers.data<int8_t>()[i] == static_cast<int8_t>(std::nearbyint(0.75f / scale)));
      });
      set_fake_quantize(q, FakeQuantState::qat);
    };
    check_stem();
    const Tensor y = q(x);
    CHECK_SAME(run(q, x, FakeQuantState::qat), run(q, x, FakeQuantState::validation));
    y.backward(images(y.shape(), 3));
    for (const auto& parameter : q.parameters()) {
      CAPTURE(parameter.name);
      const Tensor gradient = parameter.value.tensor().grad();
      for (const float v : gradient.values<float>()) CHECK(std::isfinite(v));
    }
    for (const std::string name : {"stem_bn.weight", "depthwise_bn.weight", "residual_bn.weight", "hidden_bn.weight"}) {
      CAPTURE(name);
      CHECK(find(q, name).grad().at({0}) != 0);
    }
    optim::AnyOptimizer optimizer = optim::SGD{{.lr = 0.1}};
    optimizer->step(q.parameters());
    CHECK(find(q, "stem_bn.weight").at({0}) != 0);
    CHECK_SAME(run(q, x, FakeQuantState::qat), run(q, x, FakeQuantState::validation));
    const Tensor after = q(x);
    for (const float v : after.values<float>()) CHECK(std::isfinite(v));
  }
}

TEST_CASE("running statistics move as in training the float network") {
  Net model = net(6);
  PreparedModel q = calibrated(model, with_bn(get_default_qconfig(), March::bayes));
  for (uint64_t i = 0; i < 3; ++i) {
    const Tensor x = images({16, 8, 8, 3}, 30 + i);
    model(x);
    q(x);
  }
  int moved = 0;
  for (const auto& state : q.named_state())
    for (const auto& own : model.named_state()) {
      if (state.name != own.name || own.value.trained() || own.value.tensor().dtype() != DType::float32) continue;
      CAPTURE(state.name);
      CHECK_CLOSE(state.value.tensor(), own.value.tensor(), 0.03, 0.01);
      ++moved;
    }
  CHECK(moved == 8);
}

TEST_CASE("fit freezes batch normalisation after so many steps, where there is some") {
  const auto data = dataset(32);
  const auto after = [&](int64_t steps, std::optional<int64_t> freeze) {
    PreparedModel q = calibrated(net(7), with_bn(get_default_qconfig(), March::bayes));
    nn::fit(q, data,
            {.batch = 8,
             .optimizer = optim::SGD{{.lr = 0.01}},
             .schedule = optim::constant(),
             .batches = steps,
             .progress = false,
             .freeze_batch_norm_after = freeze});
    return q;
  };
  const PreparedModel two = after(2, std::nullopt), four = after(4, std::nullopt), frozen = after(4, 2);
  CHECK(same(statistics(frozen), statistics(two)));
  CHECK_FALSE(same(statistics(four), statistics(two)));
  CHECK_FALSE(test::difference(find(frozen, "stem_bn.weight"), find(two, "stem_bn.weight"), 0, 0).empty());
  CHECK(same(statistics(after(4, 0)), statistics(calibrated(net(7), with_bn(get_default_qconfig(), March::bayes)))));
  PreparedModel folded = calibrated(net(7), {});
  CHECK_ERROR(nn::fit(folded, data, {.batch = 8, .progress = false, .freeze_batch_norm_after = 2}),
              "fit: freeze_batch_norm_after is 2, but the model has no batch normalisation to freeze");
}

TEST_CASE("running statistics of a model in QAT are re-estimated from what its integers are") {
  const auto data = dataset(24);
  PreparedModel q = calibrated(net(8), with_bn(get_default_qconfig(), March::bayes)), other = q;
  for (const auto& state : q.named_state())
    if (state.name.ends_with("running_mean")) {
      Tensor wrong = state.value.tensor();
      wrong.copy_from(Tensor::full(wrong.shape(), 3));
    }
  const Tensor before = find(q, "stem_bn.running_mean").clone();
  recalibrate_bn(q, data, {.batch = 24});
  CHECK_FALSE(test::difference(find(q, "stem_bn.running_mean"), before, 0, 0).empty());
  CHECK(q.quantizers()[0]->batches() == 1);  // nothing is observed
  // What one step of momentum 1 makes of the same batch.
  Net once = net(8);
  for (auto* bn : {&once.stem_bn, &once.depthwise_bn, &once.residual_bn, &once.hidden_bn}) bn->attributes.momentum = 1;
  PreparedModel step = prepare_qat(once, kExample, with_bn(get_default_qconfig(), March::bayes));
  load_observer_params(other, step);
  const nn::Freezing freezing({.observers = true});
  Tensor x = Tensor::empty({24, 8, 8, 3});
  for (int64_t i = 0; i < 24; ++i) data.read(i, {x.mutable_data<float>() + i * 192, 192});
  step(x);
  for (const std::string name : {"stem_bn.running_mean", "stem_bn.running_var"})
    CHECK_CLOSE(find(q, name), find(step, name), 1e-4, 1e-5);
  // And then it validates as it is in evaluation.
  CHECK_SAME(run(q, x, FakeQuantState::qat), run(q, x, FakeQuantState::validation));
}

TEST_CASE("batch normalisation is folded unless asked for, and there are two ways") {
  const PreparedModel folded = prepare_qat(net(), kExample), kept = prepare_qat(net(), kExample, with_bn());
  CHECK(folded.parameters().size() == 10);  // weight and bias of five layers
  CHECK(kept.parameters().size() == 18);    // and gamma and beta of four
  CHECK(statistics(folded).empty());
  CHECK(statistics(kept).size() == 8);
  CHECK_FALSE(folded.freezable().batch_norm);
  CHECK(kept.freezable().batch_norm);
  CHECK(folded.fingerprint() != kept.fingerprint());
  CHECK_ERROR(prepare_qat(net(), kExample, {.batch_norm = "fuse"}),
              "prepare_qat: batch_norm is 'fuse', expected fuse_bn or with_bn");
}

TEST_CASE("a model with batch normalisation in QAT learns, and goes on from a file to the same bits") {
  const auto data = dataset(64);
  const test::TemporaryDirectory directory;
  const std::string path = directory / "model";
  const nn::FitOptions options{
      .epochs = 6, .batch = 16, .optimizer = optim::SGD{{.lr = 0.05, .momentum = 0.9}}, .progress = false};
  PreparedModel whole = calibrated(net(9), with_bn(get_default_qconfig(), March::bayes));
  const nn::History history = nn::fit(whole, data, options);
  CHECK(history.epochs.back().loss < 0.8 * history.epochs.front().loss);
  nn::save(whole, path);
  PreparedModel loaded = prepare_qat(net(10), kExample, with_bn(get_default_qconfig(), March::bayes));
  nn::load(loaded, path);
  nn::fit(whole, data, options);
  nn::fit(loaded, data, options);
  const auto a = whole.named_state(), b = loaded.named_state();
  for (size_t i = 0; i < a.size(); ++i) CHECK_SAME(b[i].value.tensor(), a[i].value.tensor());
}

TEST_CASE("layers that are frozen stay in copies of the prepared model, with decay and averages, and after loading") {
  const auto data = dataset(32);
  auto network = net(7);
  nn::freeze(network.stem);
  nn::freeze(network.stem_bn);
  const test::TemporaryDirectory directory;
  for (const std::string batch_norm : {"fuse_bn", "with_bn"}) {
    CAPTURE(batch_norm);
    PrepareOptions options = with_bn(get_default_qconfig(), March::bayes);
    options.batch_norm = batch_norm;
    const PreparedModel prepared = calibrated(network, options);
    PreparedModel model = prepared, loaded = prepared;
    const std::string path = directory / batch_norm;
    nn::fit(model, data,
            {.batch = 8,
             .optimizer = optim::SGD{{.lr = 0.01, .weight_decay = 0.1}},
             .ema = 0.9,
             .checkpoint = path,
             .progress = false});
    nn::load(loaded, path);
    int frozen = 0, moved = 0;
    for (const PreparedModel* after : {&model, &loaded}) {
      const auto parameters = after->parameters(), before = prepared.parameters();
      for (size_t i = 0; i < parameters.size(); ++i) {
        CAPTURE(parameters[i].name);
        const Tensor value = parameters[i].value.tensor();
        const bool stem = parameters[i].name.starts_with("stem");
        CHECK(value.requires_grad() == !stem);
        if (stem) CHECK_SAME(value.detach(), before[i].value.tensor().detach());
        (stem ? frozen : moved) += 1;
      }
    }
    CHECK(frozen == (batch_norm == "with_bn" ? 8 : 4));
    CHECK(moved > 0);
  }
}

TEST_CASE("statistics of layers that are frozen stay in QAT, and those of the others move") {
  const auto data = dataset(32);
  auto network = net(7);
  nn::freeze(network.stem_bn);
  PreparedModel model = calibrated(network, with_bn(get_default_qconfig(), March::bayes));
  std::vector<Tensor> before;
  const auto state = model.named_state();
  for (const NamedParameter& p : state) before.push_back(p.value.tensor().detach().clone());
  nn::fit(model, data, {.batch = 8, .optimizer = optim::SGD{{.lr = 0.01}}, .batches = 3, .progress = false});
  int of_others = 0;
  for (size_t i = 0; i < state.size(); ++i) {
    CAPTURE(state[i].name);
    const bool moved = !test::difference(state[i].value.tensor().detach(), before[i], 0, 0).empty();
    if (state[i].name.starts_with("stem_bn.")) CHECK_FALSE(moved);
    if (state[i].name.ends_with("running_mean") && moved) ++of_others;
  }
  CHECK(of_others > 0);
  // In what is measured with the batch's statistics, all take part.
  quant::recalibrate_bn(model, data);
  CHECK(!test::difference(find(model, "stem_bn.running_mean"), network.stem_bn.running_mean, 0, 0).empty());
}
