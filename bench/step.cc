// One side of bench/compare_torch: runs pieces of work on request, one line in, one line out.
//   float_step 5   ->   81.3 160.2
// Five training steps took 81.3 ms each, and 160.2 ms of processor time each. The work is made, and run a few times to
// warm up, when it is first asked for (or with a count of 0).

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <ctime>
#include <functional>
#include <iostream>
#include <map>
#include <memory>
#include <string>

#include <sinter/sinter.h>

using namespace sinter;

namespace {

constexpr int64_t kBatch = 128;
constexpr int kWarmUp = 5;

struct Batch {
  Tensor images, labels;
};

Batch make_batch() {
  Random random(1);
  Tensor labels = Tensor::empty({kBatch}, DType::int64);
  int64_t* values = labels.mutable_data<int64_t>();
  for (int64_t i = 0; i < kBatch; ++i) values[i] = i % 10;
  return {Tensor::normal({kBatch, 32, 32, 3}, random), labels};
}

Graph fused(const nn::Module& model) {
  return fuse_batch_norm(trace(model, Specs{{DType::float32, {kBatch, 32, 32, 3}}}));
}

// Steps as nn::fit makes them, on one batch.
std::function<void()> training(std::function<Tensor(const Tensor&)> forward, std::vector<NamedParameter> parameters) {
  auto optimizer = std::make_shared<optim::SGD>(optim::SGDOptions{.lr = 0.01, .momentum = 0.9, .weight_decay = 1e-4});
  return [=, batch = make_batch()] {
    const TrainingMode mode(true);
    const Tensor loss = cross_entropy(forward(batch.images), batch.labels);
    if (!std::isfinite(loss.item())) fail("the loss is not finite");
    loss.backward();
    optimizer->step(parameters);
    optim::zero_grad(parameters);
  };
}

std::function<void()> float_step() {
  const auto model = std::make_shared<nn::CifarResNet>(nn::resnet20());
  const auto graph = std::make_shared<const Graph>(fused(*model));
  return training([graph](const Tensor& x) { return (*graph)(x); }, model->parameters());
}

std::function<void()> float_inference() {
  const nn::CifarResNet model = nn::resnet20();
  return [graph = fused(model), batch = make_batch()] {
    const NoGrad no_grad;
    const TrainingMode mode(false);
    graph(batch.images);
  };
}

std::shared_ptr<quant::PreparedModel> prepared() {
  return std::make_shared<quant::PreparedModel>(
      quant::prepare_qat(nn::resnet20(), Tensor::zeros({1, 32, 32, 3}), {.march = quant::March::bayes}));
}

std::function<void()> qat_step() {
  const auto model = prepared();
  return training([model](const Tensor& x) { return (*model)(x); }, model->parameters());
}

std::function<void()> validation() {
  const auto model = prepared();
  training([model](const Tensor& x) { return (*model)(x); }, model->parameters())();
  quant::set_fake_quantize(*model, quant::FakeQuantState::validation);
  model->eval();
  return [model, batch = make_batch()] {
    const NoGrad no_grad;
    (*model)(batch.images);
  };
}

std::function<void()> simulator() {
  const auto model = prepared();
  training([model](const Tensor& x) { return (*model)(x); }, model->parameters())();
  const auto simulator = std::make_shared<const bpu::Simulator>(bpu::compile(*model));
  return [simulator, batch = make_batch()] { (*simulator)(batch.images); };
}

const std::map<std::string, std::function<std::function<void()>()>> kWork{
    {"float_step", float_step}, {"float_inference", float_inference},
    {"qat_step", qat_step},     {"validation", validation},
    {"simulator", simulator},
};

double seconds(clockid_t clock) {
  timespec time{};
  clock_gettime(clock, &time);
  return static_cast<double>(time.tv_sec) + 1e-9 * static_cast<double>(time.tv_nsec);
}

}  // namespace

int main() {
  std::map<std::string, std::function<void()>> ready;
  std::string name;
  int count = 0;
  while (std::cin >> name >> count) {
    try {
      std::function<void()>& work = ready[name];
      if (!work) {
        work = kWork.at(name)();
        for (int i = 0; i < kWarmUp; ++i) work();
      }
      const double wall = seconds(CLOCK_MONOTONIC), processor = seconds(CLOCK_PROCESS_CPUTIME_ID);
      for (int i = 0; i < count; ++i) work();
      const double scale = 1e3 / std::max(count, 1);
      std::printf("%.3f %.3f\n", (seconds(CLOCK_MONOTONIC) - wall) * scale,
                  (seconds(CLOCK_PROCESS_CPUTIME_ID) - processor) * scale);
    } catch (const std::exception& error) {
      std::printf("error: %s: %s\n", name.c_str(), error.what());
    }
    std::fflush(stdout);
  }
}
