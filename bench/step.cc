// One side of bench/compare_torch: runs pieces of work on request, one line in, one line out.
//   float_step 5   ->   81.3 160.2
// Five training steps took 81.3 ms each, and 160.2 ms of processor time each. The work is made, and run a few times to
// warm up, when it is first asked for (or with a count of 0).

#include <algorithm>
#include <cstdio>
#include <ctime>
#include <iostream>
#include <map>
#include <string>

#include "work.h"

using namespace sinter;

namespace {

constexpr int64_t kBatch = 128;
constexpr int kWarmUp = 5;

const std::map<std::string, std::function<bench::BatchWork(const bench::Model&)>> kWork{
    {"float_step", bench::float_step},
    {"float_inference", bench::float_inference},
    {"qat_step", [](const bench::Model& model) { return bench::qat_step(model); }},
    {"lsq_step", [](const bench::Model& model) { return bench::qat_step(model, "lsq"); }},
    {"pact_step", [](const bench::Model& model) { return bench::qat_step(model, "pact"); }},
    {"validation", bench::validation},
    {"simulator", bench::simulator},
};

// Single operations on 0.8 million values: forward as in training, or backward from a gradient.
using Function = std::function<Tensor(const std::vector<Tensor>&)>;
struct Operation {
  Function f;
  std::vector<Shape> shapes;
  bool positive = false;  // of positive numbers alone
};

Function unary(Tensor (*f)(Tensor)) {
  return [f](const std::vector<Tensor>& x) { return f(x[0]); };
}
Function unary(Tensor (*f)(const Tensor&)) {
  return [f](const std::vector<Tensor>& x) { return f(x[0]); };
}

const Shape kImages{8, 56, 56, 32}, kPlane{16, 112, 112, 1}, kRows{784, 1024};
const std::map<std::string, Operation> kOperations{
    {"relu", {unary(relu), {kImages}}},
    {"relu6", {unary(relu6), {kImages}}},
    {"leaky_relu", {[](const auto& x) { return leaky_relu(x[0]); }, {kImages}}},
    {"prelu", {[](const auto& x) { return prelu(x[0], x[1]); }, {kImages, {32}}}},
    {"sigmoid", {unary(sigmoid), {kImages}}},
    {"tanh", {unary(tanh), {kImages}}},
    {"silu", {unary(silu), {kImages}}},
    {"hardsigmoid", {[](const auto& x) { return hardsigmoid(x[0]); }, {kImages}}},
    {"hardswish", {unary(hardswish), {kImages}}},
    {"dropout", {[](const auto& x) { return dropout(x[0], {.p = 0.5}); }, {kImages}}},
    {"concat", {[](const auto& x) { return concat(x, -1); }, {kPlane, kPlane, kPlane, kPlane}}},
    {"softmax", {[](const auto& x) { return softmax(x[0]); }, {kRows}}},
    {"log_softmax", {[](const auto& x) { return log_softmax(x[0]); }, {kRows}}},
    {"add", {[](const auto& x) { return x[0] + x[1]; }, {kImages, kImages}}},
    {"mul", {[](const auto& x) { return x[0] * x[1]; }, {kImages, kImages}}},
    {"mul_channels", {[](const auto& x) { return x[0] * x[1]; }, {kImages, {8, 1, 1, 32}}}},
    {"div", {[](const auto& x) { return x[0] / x[1]; }, {kImages, kImages}}},
    {"minimum", {[](const auto& x) { return minimum(x[0], x[1]); }, {kImages, kImages}}},
    {"where", {[](const auto& x) { return where(lt(x[0].detach(), 0), x[0], x[1]); }, {kImages, kImages}}},
    {"abs", {unary(abs), {kImages}}},
    {"clamp", {[](const auto& x) { return clamp(x[0], {.min = -2, .max = 3}); }, {kImages}}},
    {"elu", {[](const auto& x) { return elu(x[0]); }, {kImages}}},
    {"exp", {unary(exp), {kImages}}},
    {"gelu", {[](const auto& x) { return gelu(x[0]); }, {kImages}}},
    {"gelu_tanh", {[](const auto& x) { return gelu(x[0], {.approximate = "tanh"}); }, {kImages}}},
    {"log", {unary(log), {kImages}, true}},
    {"mish", {unary(mish), {kImages}}},
    {"pow2", {[](const auto& x) { return pow(x[0], 2); }, {kImages}}},
    {"pow1.5", {[](const auto& x) { return pow(x[0], 1.5); }, {kImages}, true}},
    {"reciprocal", {unary(reciprocal), {kImages}, true}},
    {"rsqrt", {unary(rsqrt), {kImages}, true}},
    {"softplus", {[](const auto& x) { return softplus(x[0]); }, {kImages}}},
    {"softsign", {unary(softsign), {kImages}}},
    {"sqrt", {unary(sqrt), {kImages}, true}},
};

std::vector<Tensor> inputs(const Operation& o) {
  Random random(1);
  std::vector<Tensor> x;
  for (const Shape& shape : o.shapes) {
    x.push_back(Tensor::normal(shape, random, 3));
    if (o.positive) x.back() = abs(x.back()) + 0.01;
    x.back().set_requires_grad(true);
  }
  return x;
}

bench::BatchWork operation_forward(const Operation& o) {
  return [f = o.f, x = inputs(o)](const data::Batch&) {
    const TrainingMode mode(true);
    f(x);
  };
}

bench::BatchWork operation_backward(const Operation& o) {
  const std::vector<Tensor> x = inputs(o);
  const TrainingMode mode(true);
  const Tensor y = o.f(x);
  Random random(2);
  return [y, x, dy = Tensor::normal(y.shape(), random)](const data::Batch&) mutable {
    y.backward(dy, true);
    for (Tensor leaf : x) leaf.set_grad({});
  };
}

bench::BatchWork work_named(const std::string& name, const bench::Model& model) {
  if (const auto found = kWork.find(name); found != kWork.end()) return found->second(model);
  constexpr std::string_view kBackward = "_backward";
  if (name.ends_with(kBackward))
    return operation_backward(kOperations.at(name.substr(0, name.size() - kBackward.size())));
  return operation_forward(kOperations.at(name));
}

double seconds(clockid_t clock) {
  timespec time{};
  clock_gettime(clock, &time);
  return static_cast<double>(time.tv_sec) + 1e-9 * static_cast<double>(time.tv_nsec);
}

}  // namespace

int main() {
  const bench::Model& model = bench::resnet20();
  const data::Batch batch = bench::make_batch(model, kBatch);
  std::map<std::string, bench::BatchWork> ready;
  std::string name;
  int count = 0;
  while (std::cin >> name >> count) {
    try {
      bench::BatchWork& work = ready[name];
      if (!work) {
        work = work_named(name, model);
        for (int i = 0; i < kWarmUp; ++i) work(batch);
      }
      const double wall = seconds(CLOCK_MONOTONIC), processor = seconds(CLOCK_PROCESS_CPUTIME_ID);
      for (int i = 0; i < count; ++i) work(batch);
      const double scale = 1e3 / std::max(count, 1);
      std::printf("%.6f %.6f\n", (seconds(CLOCK_MONOTONIC) - wall) * scale,
                  (seconds(CLOCK_PROCESS_CPUTIME_ID) - processor) * scale);
    } catch (const std::exception& error) {
      std::printf("error: %s: %s\n", name.c_str(), error.what());
    }
    if (std::fflush(stdout) != 0) return 1;
  }
}
