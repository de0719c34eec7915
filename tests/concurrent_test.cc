// What may run at the same time, each with the bits that it gives alone: README.md, "What may run at the same time".

#include <array>
#include <cstring>

#include "../bpu/compile.h"
#include "../bpu/simulator.h"
#include "../core/autograd.h"
#include "../core/parallel.h"
#include "../core/profiler.h"
#include "../core/random.h"
#include "../data/data_loader.h"
#include "../nn/fit.h"
#include "../quant/prepare.h"
#include "quant/networks.h"
#include "support.h"

using namespace sinter;

namespace {

constexpr int kThreads = 4;

// With a depthwise and a grouped convolution, whose integer weights oneDNN prepares in memory of its own.
struct Net : nn::Module {
  nn::Conv2d stem{{.in = 3, .out = 8, .kernel = 3, .padding = 1, .bias = false}};
  nn::BatchNorm2d bn{8};
  nn::Conv2d depthwise{{.in = 8, .out = 8, .kernel = 3, .padding = 1, .groups = 8}};
  nn::BasicBlock block{{.in = 8, .out = 16, .stride = 2}};
  nn::Linear head{{.in = 16, .out = 4}};
  SINTER_CHILDREN(stem, bn, depthwise, block, head)

  Tensor forward(const Tensor& x) const override {
    return head(mean(block(relu(depthwise(relu(bn(stem(x)))))), {1, 2}));
  }
};

const data::ImageDataset& dataset() {
  static const auto made = [] {
    constexpr int64_t kImages = 40;
    Tensor images = Tensor::empty({kImages, 8, 8, 3}, DType::uint8), labels = Tensor::empty({kImages}, DType::int64);
    Random random(4);
    for (int64_t i = 0; i < images.elements(); ++i)
      images.mutable_data<uint8_t>()[i] = static_cast<uint8_t>(random.below(256));
    for (int64_t i = 0; i < kImages; ++i) labels.mutable_data<int64_t>()[i] = random.below(4);
    return data::ImageDataset(images, labels);
  }();
  return made;
}

// Everything from a float model of one's own to its program, which differs by thread.
std::vector<Tensor> whole_way(int t) {
  manual_seed(t);
  const quant::March before = quant::default_march();
  quant::set_march(t % 2 == 0 ? quant::March::bayes : quant::March::bernoulli);
  const Profiler profiler;
  Net net;
  const nn::FitOptions training{.batch = 20,
                                .optimizer = optim::SGD{{.lr = 0.01, .momentum = 0.9}},
                                .seed = static_cast<uint64_t>(t),
                                .workers = 1 + t % 2,
                                .progress = false};
  nn::fit(net, dataset(), training);
  auto model = quant::prepare_qat(net, dataset()[0].image, {.batch_norm = t < 2 ? "fuse_bn" : "with_bn"});
  quant::set_fake_quantize(model, quant::FakeQuantState::calibration);
  for (const auto& batch : data::DataLoader(dataset(), {.batch = 20, .seed = 9})) model(batch.images);
  quant::set_fake_quantize(model, quant::FakeQuantState::qat);
  nn::fit(model, dataset(), training);
  std::vector<Tensor> results;
  for (const auto& [name, state] : model.named_state()) results.push_back(state.tensor().clone());
  const Tensor x = test::images({5, 8, 8, 3}, 3);
  const NoGrad no_grad;
  model.eval();
  results.push_back(model(x));
  quant::set_fake_quantize(model, quant::FakeQuantState::validation);
  results.push_back(model(x));
  results.push_back(bpu::Simulator(bpu::compile(model))(x));
  results.push_back(Tensor::full({1}, static_cast<float>(test::entries_of(profiler).at("head").forward.calls)));
  CHECK(quant::default_march() == model.march());
  quant::set_march(before);
  return results;
}

void check_same(const std::vector<Tensor>& actual, const std::vector<Tensor>& expected) {
  REQUIRE(actual.size() == expected.size());
  for (size_t i = 0; i < actual.size(); ++i) CHECK_SAME(actual[i], expected[i]);
}

// f(x) of each thread's x, many times at once, gives what it gives alone.
void check_shared(const std::function<Tensor(const Tensor&)>& f, int times) {
  std::array<Tensor, kThreads> x, expected;
  for (int t = 0; t < kThreads; ++t) {
    const NoGrad no_grad;
    x[t] = test::images({1 + t, 8, 8, 3}, t);
    expected[t] = f(x[t]).clone();
  }
  std::array<int, kThreads> wrong{};
  test::at_once(kThreads, [&](int t) {
    const NoGrad no_grad;
    for (int i = 0; i < times; ++i) wrong[t] += !test::difference(f(x[t]), expected[t], 0, 0).empty();
  });
  CHECK(wrong == std::array<int, kThreads>{});
}

quant::PreparedModel calibrated(const nn::Module& net) {
  auto model = quant::prepare_qat(net, dataset()[0].image);
  quant::set_fake_quantize(model, quant::FakeQuantState::calibration);
  for (const auto& batch : data::DataLoader(dataset(), {.batch = 20})) model(batch.images);
  return model;
}

struct Threads {
  explicit Threads(int count) : before(threads()) { set_threads(count); }
  ~Threads() { set_threads(before); }
  int before;
};

}  // namespace

TEST_CASE("models of their own train, calibrate, validate and compile in several threads") {
  const Threads two(2);
  std::vector<std::vector<Tensor>> alone, together(kThreads);
  for (int t = 0; t < kThreads; ++t) alone.push_back(whole_way(t));
  for (int round = 0; round < 2; ++round) {
    test::at_once(kThreads, [&](int t) { together[t] = whole_way(t); });
    for (int t = 0; t < kThreads; ++t) check_same(together[t], alone[t]);
  }
}

TEST_CASE("several threads run one model, in every state that changes nothing in it, and one simulator") {
  const Threads two(2);
  auto net = test::randomized(Net());
  net.eval();
  check_shared([&](const Tensor& x) { return net(x); }, 20);
  auto model = calibrated(net);
  model.eval();
  quant::set_fake_quantize(model, quant::FakeQuantState::qat);
  check_shared([&](const Tensor& x) { return model(x); }, 20);
  quant::set_fake_quantize(model, quant::FakeQuantState::validation);
  check_shared([&](const Tensor& x) { return model(x); }, 20);
  const bpu::Simulator simulator(bpu::compile(model));
  check_shared([&](const Tensor& x) { return simulator(x); }, 20);
}

TEST_CASE("one model is copied, prepared and compiled in several threads") {
  const Threads two(2);
  const auto net = test::randomized(Net());
  const auto model = calibrated(net);
  const Tensor x = test::images({3, 8, 8, 3}, 5);
  const auto work = [&] {
    quant::PreparedModel copy = model;
    quant::set_fake_quantize(copy, quant::FakeQuantState::validation);
    const NoGrad no_grad;
    const Tensor again = calibrated(net)(x);
    return std::vector<Tensor>{copy(x), bpu::Simulator(bpu::compile(model))(x), again};
  };
  const std::vector<Tensor> expected = work();
  std::vector<std::vector<Tensor>> results(kThreads);
  test::at_once(kThreads, [&](int t) { results[t] = work(); });
  for (const auto& result : results) check_same(result, expected);
}

TEST_CASE("loaders over one dataset, in several threads") {
  const auto sums = [](int t) {
    std::vector<Tensor> batches;
    for (const auto& batch : data::DataLoader(dataset(), {.batch = 7, .seed = static_cast<uint64_t>(t), .workers = 3}))
      batches.push_back(batch.images);
    return batches;
  };
  std::vector<std::vector<Tensor>> results(kThreads);
  test::at_once(kThreads, [&](int t) { results[t] = sums(t); });
  for (int t = 0; t < kThreads; ++t) check_same(results[t], sums(t));
}

TEST_CASE("the number of threads may change meanwhile") {
  const Threads two(2);
  auto net = test::randomized(Net());
  net.eval();
  std::vector<std::string> wrong(kThreads);
  const Tensor x = test::images({16, 8, 8, 3}, 5);
  const NoGrad no_grad;
  const Tensor expected = net(x);
  test::at_once(kThreads, [&](int t) {
    const NoGrad nor_here;
    for (int i = 0; i < 20; ++i) {
      if (t == 0) set_threads(1 + i % 4);
      wrong[t] += test::difference(net(x), expected, 0, 0);
    }
  });
  for (const std::string& difference : wrong) CHECK(difference == "");
}
