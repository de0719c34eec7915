// `fit` for tasks other than classification.
#include <unistd.h>

#include <atomic>
#include <cmath>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <thread>

#include "../../core/ops/arithmetic.h"
#include "../../core/ops/cross_entropy.h"
#include "../../core/ops/reduce.h"
#include "../../core/ops/relu.h"
#include "../../core/ops/reshape.h"
#include "../../data/data_loader.h"
#include "../../data/tensor_dataset.h"
#include "../../nn/checkpoint.h"
#include "../../nn/find_learning_rate.h"
#include "../../nn/fit.h"
#include "../../nn/layers/batch_norm2d.h"
#include "../../nn/layers/conv2d.h"
#include "../../nn/layers/dropout.h"
#include "../../nn/layers/linear.h"
#include "../../nn/log/csv_log.h"
#include "../../nn/log/html_report.h"
#include "../../nn/log/json_lines.h"
#include "../../nn/log/tensorboard.h"
#include "../../nn/losses/mse_loss.h"
#include "../../nn/metrics/mean_iou.h"
#include "../../nn/metrics/worst_images.h"
#include "../data/files.h"
#include "../support.h"

using namespace sinter;

namespace {

// Pictures with a bright square; the mask says where, "centre" too, and "depth" is a second picture of it.
struct Squares final : data::Dataset {
  int64_t count;
  explicit Squares(int64_t n) : count(n) {}
  int64_t size() const override { return count; }
  Shape image_shape() const override { return {6, 6, 1}; }
  data::Sample sample(int64_t index) const override {
    Random random(7, static_cast<uint64_t>(index));
    data::Sample s{.image = Tensor::uniform({1, 6, 6, 1}, random, -0.5, 0.5)};
    Tensor mask = Tensor::zeros({6, 6}, DType::int64), depth = Tensor::zeros({6, 6, 1});
    const int64_t x = random.below(4), y = random.below(4);
    for (int64_t i = y; i < y + 3; ++i)
      for (int64_t k = x; k < x + 3; ++k) {
        s.image.mutable_data<float>()[i * 6 + k] += 1;
        mask.mutable_data<int64_t>()[i * 6 + k] = 1;
        depth.mutable_data<float>()[i * 6 + k] = 1;
      }
    s.targets["mask"] = mask;
    s.targets["depth"] = depth;
    s.targets["centre"] = Tensor::from<float>({2}, std::vector<float>{static_cast<float>(x), static_cast<float>(y)});
    return s;
  }
};

// A mask for every pixel, and the centre.
struct TwoHeads : nn::Module {
  nn::Conv2d first{{.in = 1, .out = 6, .kernel = 3, .padding = 1, .bias = false}};
  nn::BatchNorm2d bn{6};
  nn::Dropout dropout{{.p = 0.1}};
  nn::Conv2d mask{{.in = 6, .out = 2, .kernel = 3, .padding = 1}}, centre{{.in = 6, .out = 2, .kernel = 6}};
  SINTER_CHILDREN(first, bn, dropout, mask, centre)
  std::vector<Tensor> forward_all(std::span<const Tensor> x) const override {
    const Tensor y = dropout(relu(bn(first(x[0]))));
    return {mask(y), mean(centre(y), {1, 2})};
  }
};

struct TwoInputs : TwoHeads {
  SINTER_CHILDREN(first, bn, dropout, mask, centre)
  std::vector<Tensor> forward_all(std::span<const Tensor> x) const override {
    const std::vector<Tensor> both{x[0] + x[1]};
    return TwoHeads::forward_all(both);
  }
};

Tensor both_losses(const nn::Outputs& y, const data::Batch& batch) {
  return cross_entropy(y[0], batch["mask"]) + mse_loss(y[1], batch["centre"]) * 0.1;
}

double centre_error(const nn::Outputs& y, const data::Batch& batch) {
  return static_cast<double>(mse_loss(y[1], batch["centre"]).item());
}

template <class Net = TwoHeads>
Net fresh() {
  manual_seed(3);
  return Net();
}

nn::FitOptions options(int64_t epochs = 3) {
  return {.epochs = epochs,
          .batch = 16,
          .optimizer = optim::SGD{{.lr = 0.1, .momentum = 0.9}},
          .loss = both_losses,
          .seed = 5,
          .progress = false};
}

void check_same(const nn::Module& a, const nn::Module& b) {
  const auto x = a.named_state(), y = b.named_state();
  REQUIRE(x.size() == y.size());
  for (size_t i = 0; i < x.size(); ++i) {
    INFO(x[i].name);
    CHECK_SAME(x[i].value.tensor(), y[i].value.tensor());
  }
}
bool same(const nn::Module& a, const nn::Module& b) {
  const auto x = a.named_state(), y = b.named_state();
  for (size_t i = 0; i < x.size(); ++i)
    if (!test::difference(x[i].value.tensor().detach(), y[i].value.tensor().detach(), 0, 0).empty()) return false;
  return true;
}

struct File {
  std::string path;
  explicit File(const std::string& name = "file")
      : path((std::filesystem::temp_directory_path() / text("fit_task_test.", name, ".", int64_t{::getpid()}))
                 .string()) {}
  ~File() { std::filesystem::remove(path); }
};

}  // namespace

TEST_CASE("a network with several outputs learns by a loss of (outputs, batch), and its metrics are the validation's") {
  const Squares train(128), test(48);
  TwoHeads net = fresh();
  auto o = options(8);
  o.metrics = {
      nn::MeanIoU{{.target = "mask"}}, {"centre", centre_error}, nn::WorstImages{{.count = 2, .target = "mask"}}};
  o.validation = &test;
  const nn::History history = nn::fit(net, train, o);
  const nn::Evaluation& last = *history.epochs.back().validation;
  CHECK(last.metrics.at("miou") > 0.9);
  CHECK(last.metrics.at("centre") < history.epochs[0].validation->metrics.at("centre"));
  CHECK(last.pictures.size() == 2);
  CHECK(std::isnan(last.accuracy));
  CHECK(std::isnan(history.epochs.back().accuracy));

  // The same from `evaluate`, for the module and for anything that gives the same outputs.
  const nn::EvaluateOptions how{.batch = 48, .loss = both_losses, .metrics = o.metrics};
  const nn::Evaluation alone = nn::evaluate(net, test, how);
  CHECK(alone.metrics.at("miou") == last.metrics.at("miou"));
  CHECK(alone.loss == doctest::Approx(last.loss));
  const nn::Evaluation other =
      nn::evaluate([&](std::span<const Tensor> x) -> std::vector<Tensor> { return net(x); }, test, how);
  CHECK(other.loss == alone.loss);
  CHECK(other["centre"] == alone["centre"]);
  CHECK_ERROR(alone["mAP"], "there is no number 'mAP', there are loss, accuracy, centre, miou");

  // Metrics need no loss.
  const nn::Evaluation metrics_only = nn::evaluate(net, test, {.metrics = {nn::MeanIoU{{.target = "mask"}}}});
  CHECK(metrics_only["miou"] == last.metrics.at("miou"));
  CHECK(std::isnan(metrics_only.loss));
  CHECK_ERROR(nn::evaluate(net, test), "it has 2 outputs, but fit and evaluate expect one");
}

TEST_CASE("several inputs are named, or what a function gives") {
  const Squares train(64);
  TwoInputs given, named = fresh<TwoInputs>();
  auto o = options(2);
  o.inputs = {"image", "depth"};
  nn::fit(named, train, o);
  o.inputs = [](const data::Batch& b) { return std::vector{b.images, b["depth"]}; };
  given = fresh<TwoInputs>();
  nn::fit(given, train, o);
  check_same(named, given);
  CHECK(nn::evaluate(named, train, {.inputs = {"image", "depth"}, .loss = both_losses}).loss ==
        nn::evaluate(given, train, {.inputs = o.inputs, .loss = both_losses}).loss);
  o.inputs = {"image", "height"};
  CHECK_ERROR(nn::fit(named, train, o), "height");
  o.inputs = {};
  CHECK_ERROR(nn::fit(named, train, o), "it reads input 1 (the first is 0), but the call gave 1 input");
}

TEST_CASE("a loss of one output and a target by its name") {
  struct Mask : nn::Module {
    nn::Conv2d conv{{.in = 1, .out = 2, .kernel = 3, .padding = 1}};
    SINTER_CHILDREN(conv)
    Tensor forward(const Tensor& x) const override { return conv(x); }
  };
  const Squares train(64);
  Mask a = fresh<Mask>(), b = fresh<Mask>();
  auto o = options(1);
  o.loss = {nn::loss("cross_entropy"), "mask"};
  nn::fit(a, train, o);
  o.loss = [](const nn::Outputs& y, const data::Batch& batch) { return cross_entropy(y[0], batch["mask"]); };
  nn::fit(b, train, o);
  check_same(a, b);
  o.loss = [](const nn::Outputs& y, const data::Batch&) { return y[0]; };
  CHECK_ERROR(nn::fit(a, train, o), "loss: the function gave float32 [16,6,6,2], expected one float32 number");
  o.label_smoothing = 0.1;
  CHECK_ERROR(nn::fit(a, train, o), "fit: label_smoothing is of cross-entropy");
}

TEST_CASE("gradients of several batches make one step: of the mean over their images") {
  struct Plain : nn::Module {  // nothing in it depends on the rest of the batch
    nn::Conv2d conv{{.in = 1, .out = 2, .kernel = 3, .padding = 1}};
    SINTER_CHILDREN(conv)
    Tensor forward(const Tensor& x) const override { return conv(x); }
  };
  const Squares train(80);
  Plain small = fresh<Plain>(), large = fresh<Plain>();
  auto o = options(2);
  o.loss = {nn::loss("cross_entropy"), "mask"};
  std::vector<double> rates, losses;
  o.on_step = [&](const nn::StepReport& s) {
    rates.push_back(s.lr);
    losses.push_back(s.loss);
  };
  o.batch = 32;  // 32, 32, 16
  nn::fit(large, train, o);
  const auto expected_rates = std::exchange(rates, {});
  const auto expected_losses = std::exchange(losses, {});
  o.batch = 16;  // 2, 2 and 1
  o.accumulate = 2;
  nn::fit(small, train, o);
  CHECK(rates == expected_rates);
  REQUIRE(losses.size() == 6);
  // Of batches that differ in size, too: 20, 20, and 20, 10 are 40 and 30 images.
  const Squares odd(70);
  Plain halves = fresh<Plain>(), whole = fresh<Plain>();
  auto p = o;
  p.on_step = nullptr;
  p.batch = 20;
  nn::fit(halves, odd, p);
  p.batch = 40;
  p.accumulate = 1;
  nn::fit(whole, odd, p);
  CHECK_CLOSE(halves.conv.weight.tensor().detach(), whole.conv.weight.tensor().detach(), 1e-4, 1e-5);
  for (size_t i = 0; i < 6; ++i) CHECK(losses[i] == doctest::Approx(expected_losses[i]).epsilon(1e-4));
  CHECK_CLOSE(small.conv.weight.tensor().detach(), large.conv.weight.tensor().detach(), 1e-4, 1e-5);
}

TEST_CASE("averages of the weights follow their formula, are what is validated, saved and left in the model") {
  const Squares train(64), test(32);
  const File file("ema"), best("best");
  TwoHeads net = fresh();
  nn::Ema expected(net, 0.5);
  auto o = options(3);
  o.ema = 0.5;
  o.checkpoint = file.path;
  o.best = best.path;
  o.validation = &test;
  o.on_step = [&](const nn::StepReport&) { expected.update(net); };
  const auto history = nn::fit(net, train, o);
  CHECK(expected.steps() == 12);
  for (size_t i = 0; i < expected.state().size(); ++i)
    CHECK_SAME(net.named_state()[i].value.tensor(), expected.state()[i].value.tensor());
  CHECK(nn::evaluate(net, test, {.loss = both_losses}).loss == history.epochs[2].validation->loss);
  TwoHeads loaded, from_best;
  nn::load(loaded, file.path);
  check_same(loaded, net);
  nn::load(from_best, best.path);
  CHECK(nn::evaluate(from_best, test, {.loss = both_losses}).loss ==
        history.epochs[static_cast<size_t>(history.best_epoch)].validation->loss);

  // By hand: the first steps weigh more, a constant stays.
  nn::Conv2d one{{.in = 1, .out = 1, .kernel = 1}};
  nn::Ema ema(one, 0.9);
  const float before = one.weight.tensor().item();
  one.weight.tensor().copy_from(Tensor::full({1, 1, 1, 1}, 2));
  ema.update(one);
  CHECK(ema.state()[0].value.tensor().item() == doctest::Approx(before + (1 - 2.0 / 11) * (2 - before)));
  for (int i = 0; i < 20; ++i) ema.update(one);
  ema.swap(one);
  CHECK(one.weight.tensor().item() == doctest::Approx(2));
  CHECK(ema.state()[0].value.tensor().item() == 2);
  CHECK_ERROR(ema.update(net), "ema: the averages are of another model");
  CHECK_ERROR(nn::Ema(one, 1), "ema: the decay is 1");
}

TEST_CASE("a run with averages, accumulated gradients, metrics and dropout resumes to the same bits from anywhere") {
  const Squares train(80), test(20);
  auto o = options(3);
  o.ema = 0.9;
  o.accumulate = 2;
  o.validation = &test;
  o.metrics = {nn::MeanIoU{{.target = "mask"}}};
  TwoHeads whole = fresh();
  const auto expected = nn::fit(whole, train, o);
  for (const int64_t stop_at : {1, 2, 3, 4, 8}) {  // of 9 steps, 3 an epoch
    CAPTURE(stop_at);
    const File file;
    auto stopping = o;
    stopping.checkpoint = file.path;
    int64_t done = 0;
    stopping.on_step = [&](const nn::StepReport& s) { done = s.step; };
    stopping.stop = [&] { return done >= stop_at; };
    TwoHeads net = fresh();
    const auto first = nn::fit(net, train, stopping);
    CHECK(first.stopped);
    CHECK(done == stop_at);
    TwoHeads resumed;
    default_random().bits();
    auto going_on = o;
    going_on.checkpoint = file.path;
    going_on.resume = true;
    const auto history = nn::fit(resumed, train, going_on);
    check_same(resumed, whole);
    REQUIRE(history.epochs.size() == 3);
    for (size_t i = 0; i < 3; ++i) {
      CHECK(history.epochs[i].loss == expected.epochs[i].loss);
      CHECK(history.epochs[i].validation->metrics == expected.epochs[i].validation->metrics);
    }
    // A finished run is resumed to itself.
    TwoHeads again;
    nn::fit(again, train, going_on);
    check_same(again, whole);
    going_on.ema = 0;
    CHECK_ERROR(nn::fit(again, train, going_on), "ema (0.9) is only there");
  }
}

TEST_CASE("training ends early without improvement, and the best epoch is in its file") {
  const Squares train(64), test(32);
  const File best("best"), file("run");
  TwoHeads net = fresh();
  auto o = options(20);
  o.validation = &test;
  o.monitor.number = "made up";
  double value = 0;
  int64_t epoch = 0;
  std::vector<double> made{1, 3, 2, 3, 2.5, 9};
  o.metrics = {{"made up", [&](const nn::Outputs&, const data::Batch&) { return made[static_cast<size_t>(epoch)]; }}};
  o.on_epoch = [&](const nn::EpochReport& r) {
    value = (*r.validation)["made up"];
    ++epoch;
  };
  o.best = best.path;
  o.checkpoint = file.path;
  o.patience = 3;
  const auto history = nn::fit(net, train, o);
  CHECK(history.stopped_early);
  CHECK(!history.stopped);
  CHECK(history.epochs.size() == 5);  // 3 is not more than 3
  CHECK(history.best_epoch == 1);
  CHECK(value == 2.5);
  TwoHeads loaded, second = fresh();
  auto two = options(20);
  int64_t done = 0;
  two.on_step = [&](const nn::StepReport& step) { done = step.step; };
  two.stop = [&] { return done >= 8; };
  nn::fit(second, train, two);
  nn::load(loaded, best.path);
  check_same(loaded, second);

  // Resumed, it is over; by what is smaller it would not be.
  o.resume = true;
  CHECK(nn::fit(loaded, train, o).epochs.size() == 5);
  o.monitor.larger_is_better = false;
  CHECK(nn::fit(loaded, train, o).best_epoch == 0);

  o.resume = false;
  epoch = 0;
  o.monitor.number = "recall";
  CHECK_ERROR(nn::fit(net, train, o), "there is no number 'recall', there are loss, accuracy, made up");
  o.validation = nullptr;
  CHECK_ERROR(nn::fit(net, train, o), "fit: metrics are of the validation, but there is none");
}

TEST_CASE("what ends one run, a stop or an exception, ends none in another thread") {
  const Squares train(64);
  TwoHeads expected = fresh();
  nn::fit(expected, train, options(4));
  TwoHeads whole = fresh(), stopped = fresh(), thrown = fresh();
  std::thread a([&] {
    whole = fresh();  // with this thread's random numbers
    nn::fit(whole, train, options(4));
  });
  std::thread b([&] {
    auto o = options(4);
    std::atomic<bool> flag{false};
    o.on_step = [&](const nn::StepReport& s) { flag = s.step == 3; };
    o.stop = [&] { return flag.load(); };
    CHECK(nn::fit(stopped, train, o).stopped);
  });
  std::thread c([&] {
    auto o = options(4);
    o.on_step = [](const nn::StepReport& s) {
      if (s.step == 2) throw std::runtime_error("a callback");
    };
    CHECK_THROWS_AS(nn::fit(thrown, train, o), std::runtime_error);
  });
  for (std::thread* t : {&a, &b, &c}) t->join();
  check_same(whole, expected);
  CHECK(!same(stopped, expected));

  // A request that a run got, which then threw, is not for the next.
  auto o = options(1);
  o.on_step = [](const nn::StepReport&) {
    nn::request_stop();
    fail("a callback");
  };
  CHECK_ERROR(nn::fit(thrown, train, o), "a callback");
  CHECK(!nn::stop_requested());
  CHECK(!nn::fit(thrown, train, options(1)).stopped);
  // One that it got is not for a run that starts meanwhile.
  o.on_step = [&](const nn::StepReport&) {
    nn::request_stop();
    CHECK(!nn::fit(thrown, train, options(1)).stopped);
  };
  CHECK(nn::fit(stopped, train, o).stopped);
}

TEST_CASE("a loop of one's own goes on from its checkpoint with the same bits") {
  const Squares train(64);
  const File file;
  const auto run = [&](TwoHeads& net, optim::Optimizer& sgd, nn::Ema& ema, int64_t from, int64_t to) {
    data::DataLoader loader(train, {.batch = 16, .seed = 2});
    const auto parameters = net.parameters();
    net.train();
    const TrainingMode mode(true);
    for (int64_t epoch = from; epoch < to; ++epoch)
      for (const auto& batch : loader.epoch(epoch)) {
        both_losses(net({batch.images}), batch).backward();
        sgd.step(parameters);
        optim::zero_grad(parameters);
        ema.update(net);
      }
  };
  TwoHeads whole = fresh();
  optim::SGD sgd{{.lr = 0.1, .momentum = 0.9}};
  nn::Ema ema(whole, 0.9);
  run(whole, sgd, ema, 0, 2);
  nn::save_checkpoint(whole, {&sgd, &ema, {{"epoch", 2}}}, file.path);
  run(whole, sgd, ema, 2, 4);

  TwoHeads other;
  default_random().bits();
  optim::SGD other_sgd{{.lr = 0.5, .momentum = 0.9}};
  nn::Ema other_ema(other, 0.9);
  nn::TrainingState state{&other_sgd, &other_ema};
  nn::load_checkpoint(other, state, file.path);
  CHECK(state.counters.at("epoch") == 2);
  run(other, other_sgd, other_ema, state.counters.at("epoch"), 4);
  check_same(other, whole);
  for (size_t i = 0; i < ema.state().size(); ++i)
    CHECK_SAME(ema.state()[i].value.tensor(), other_ema.state()[i].value.tensor());

  // What does not fit changes nothing.
  TwoHeads untouched = fresh();
  nn::TrainingState no_ema{&other_sgd}, no_optimizer{nullptr, &other_ema};
  CHECK_ERROR(nn::load_checkpoint(untouched, no_ema, file.path), "averages of the weights, but no Ema is given");
  CHECK_ERROR(nn::load_checkpoint(untouched, no_optimizer, file.path), "an optimiser's state, but no optimiser");
  optim::SGD plain{{.lr = 0.1}};
  nn::TrainingState wrong{&plain, &other_ema};
  CHECK_ERROR(nn::load_checkpoint(untouched, wrong, file.path), "tensors of state, expected 0");
  nn::Conv2d conv{{.in = 1, .out = 1, .kernel = 1}};
  nn::Ema conv_ema(conv, 0.9);
  nn::TrainingState of_conv{&other_sgd, &conv_ema};
  CHECK_ERROR(nn::load_checkpoint(conv, of_conv, file.path), "load_state: the state does not fit");
  check_same(untouched, fresh());
}

TEST_CASE("what can be known before the first step is said before it") {
  const Squares train(64), none(0);
  TwoHeads net = fresh();
  const auto check_refused = [&](const nn::FitOptions& options, const std::string& message) {
    auto o = options;
    int64_t steps = 0;
    o.on_step = [&](const nn::StepReport&) { ++steps; };
    CHECK_ERROR(nn::fit(net, train, o), message);
    CHECK(steps == 0);
  };
  auto o = options(1);
  o.checkpoint = "/nowhere/checkpoint";
  check_refused(o, "/nowhere/checkpoint: cannot be written in /nowhere: No such file");
  o = options(1);
  o.best = "/nowhere/best";
  check_refused(o, "/nowhere/best: cannot be written");
  o = options(1);
  o.log = {nn::CsvLog("/nowhere/run.csv")};
  check_refused(o, "/nowhere/run.csv: cannot be written");
  o.log = {nn::JsonLines("/nowhere/run.jsonl")};
  check_refused(o, "/nowhere/run.jsonl: cannot be written");
  o.log = {nn::HtmlReport("/nowhere/run.html")};
  check_refused(o, "/nowhere/run.html: cannot be written");
  o = options(1);
  o.validation = &none;
  check_refused(o, "fit: the validation has no images");
  o = options(1);
  o.monitor.number = "miou";
  check_refused(o, "fit: the monitor is 'miou', but without metrics there are only loss and accuracy");
  o.monitor.number = "accuracy";
  check_refused(o, "fit: the monitor is 'accuracy', but with a loss of one's own there is only loss");
}

TEST_CASE("gradients of a run that was left are not those of the next") {
  const Squares train(64);
  TwoHeads expected = fresh(), net = fresh();
  nn::fit(expected, train, options(1));
  net = fresh();
  for (const NamedParameter& p : net.parameters()) {
    Tensor value = p.value.tensor();
    value.set_grad(Tensor::full(value.shape(), 3));
  }
  nn::fit(net, train, options(1));
  check_same(net, expected);
  auto o = options(1);
  int64_t calls = 0;
  o.accumulate = 3;
  o.loss = [&](const nn::Outputs& y, const data::Batch& batch) {
    check(++calls < 3, "left");
    return both_losses(y, batch);
  };
  CHECK_ERROR(nn::fit(net, train, o), "left");
  for (const NamedParameter& p : net.parameters()) {
    INFO(p.name);
    const Tensor grad = p.value.tensor().grad();
    if (grad.defined())
      for (const float g : grad.values<float>()) CHECK(g == 0);
  }
}

TEST_CASE("a loss that is NaN of finite outputs is not taken for too high a rate") {
  const Squares train(64);
  TwoHeads net = fresh();
  auto o = options(1);
  o.loss = [](const nn::Outputs& y, const data::Batch& batch) {
    return cross_entropy(y[0], Tensor::full(batch["mask"].shape(), 255, DType::int64), {.ignore_index = 255});
  };
  CHECK_ERROR(nn::fit(net, train, o),
              "all that the model gave is finite: is a target NaN, or is it a mean over nothing");
}

TEST_CASE("the learning rate finder tells the loss by rate, and leaves everything as it was") {
  const Squares train(64);
  TwoHeads net = fresh();
  const TwoHeads before = net;
  const uint64_t position = default_random().position();
  const auto found = nn::find_learning_rate(net, train, options(), {.from = 1e-4, .to = 100, .steps = 40});
  check_same(net, before);
  CHECK(default_random().position() == position);
  CHECK(found.lr.size() >= 10);
  CHECK(found.lr.front() == doctest::Approx(1e-4));
  CHECK(found.suggestion > 1e-4);
  CHECK(found.suggestion < 10);
  const auto again = nn::find_learning_rate(net, train, options(), {.from = 1e-4, .to = 100, .steps = 40});
  CHECK(again.loss == found.loss);
  CHECK(to_string(found).find("suggestion: ") == 0);
  auto wrong = options();
  wrong.inputs = {"nothing"};
  CHECK_ERROR(nn::find_learning_rate(net, train, wrong), "nothing");
  CHECK_ERROR(nn::find_learning_rate(net, train, options(), {.from = 1, .to = 0.5}), "expected 0 < from < to");
}

TEST_CASE("images of another size in a batch run as the model is written") {
  struct Mixed final : data::Dataset {
    int64_t size() const override { return 8; }
    Shape image_shape() const override { return {6, 6, 1}; }
    data::Sample sample(int64_t index) const override {
      const int64_t side = index < 4 ? 6 : 8;
      data::Sample s{.image = Tensor::full({1, side, side, 1}, static_cast<float>(index))};
      s.targets["mask"] = Tensor::zeros({side, side}, DType::int64);
      return s;
    }
  };
  struct Mask : nn::Module {
    nn::Conv2d conv{{.in = 1, .out = 2, .kernel = 3, .padding = 1}};
    SINTER_CHILDREN(conv)
    Tensor forward(const Tensor& x) const override { return conv(x); }
  };
  Mask net = fresh<Mask>();
  const nn::EvaluateOptions how{.batch = 4, .loss = {nn::loss("cross_entropy"), "mask"}};
  const auto a = nn::evaluate(net, Mixed(), how);
  CHECK(a.images == 8);
  CHECK(a.loss == nn::evaluate([&](const Tensor& x) { return net(x); }, Mixed(), how).loss);
  auto o = options(1);
  o.batch = 1;
  o.loss = how.loss;
  CHECK(nn::fit(net, Mixed(), o).epochs[0].images == 8);
}

TEST_CASE("a run writes its logs, and resumed it goes on in the same ones, with the rows of one that was not stopped") {
  const Squares train(64), test(16);
  const File csv("csv"), whole_csv("whole_csv"), json("json"), html("html"), checkpoint("checkpoint");
  const std::string events = csv.path + ".events";
  struct Remove {
    std::string path;
    ~Remove() { std::filesystem::remove_all(path); }
  } const remove{events};
  auto o = options(3);
  o.validation = &test;
  o.metrics = {nn::MeanIoU{{.target = "mask"}}, nn::WorstImages{{.count = 1, .target = "mask"}},
               nn::ConfusionMatrix{{.target = "mask"}}};
  o.log_steps = 2;
  const auto rows = [](const std::string& path) {  // without what depends on time
    std::ifstream in(path);
    std::vector<std::string> all;
    for (std::string line; std::getline(in, line);) all.push_back(line.substr(0, line.rfind("epoch/images")));
    return all;
  };
  o.log = {nn::CsvLog(whole_csv.path)};
  TwoHeads whole = fresh();
  nn::fit(whole, train, o);

  o.checkpoint = checkpoint.path;
  o.checkpoint_steps = 5;
  TwoHeads net = fresh();
  {
    auto killed = o;
    killed.log = {nn::CsvLog(csv.path), nn::JsonLines(json.path), nn::TensorBoard(events), nn::HtmlReport(html.path)};
    killed.on_step = [](const nn::StepReport& s) { check(s.step < 8, "killed"); };  // the checkpoint is of step 5
    CHECK_ERROR(nn::fit(net, train, killed), "killed");
  }
  o.resume = true;
  o.log = {nn::CsvLog(csv.path), nn::JsonLines(json.path), nn::TensorBoard(events), nn::HtmlReport(html.path)};
  nn::fit(net, train, o);
  check_same(net, whole);
  const auto found = rows(csv.path), expected = rows(whole_csv.path);
  REQUIRE(found.size() == expected.size());
  const auto cells = [](const std::string& line, size_t n) {  // step, loss, lr, epoch, loss
    size_t end = 0;
    for (size_t i = 0; i < n; ++i) end = line.find(',', end) + 1;
    return line.substr(0, end);
  };
  for (size_t i = 0; i < found.size(); ++i) CHECK(cells(found[i], 5) == cells(expected[i], 5));
  CHECK(std::distance(std::filesystem::directory_iterator(events), {}) == 1);
  std::ifstream page(html.path);
  const std::string report((std::istreambuf_iterator<char>(page)), {});
  CHECK(report.find("validation/confusion") != std::string::npos);
  CHECK(report.find("data:image/png") != std::string::npos);
  CHECK(report.find("3 epochs, the best is ") != std::string::npos);
  std::ifstream bytes(std::filesystem::directory_iterator(events)->path(), std::ios::binary);
  const std::string all((std::istreambuf_iterator<char>(bytes)), {});
  for (const char* name : {"weights/first.weight", "activations/mask", "validation/miou", "validation/picture_0"})
    CHECK(all.find(name) != std::string::npos);
}

TEST_CASE("a sampler says which images an epoch has, after a stop, too") {
  const auto images = test::normal({20, 4, 4, 1});
  std::vector<int64_t> labels;
  for (int64_t i = 0; i < 20; ++i) labels.push_back(i % 2);
  const data::TensorDataset dataset(images, {.labels = Tensor::from({20}, labels)});
  const data::Sampler sampler = data::weighted(std::vector<double>(20, 1.0), {.count = 24, .seed = 3});
  struct Net : nn::Module {
    nn::Linear head{{.in = 16, .out = 2}};
    SINTER_CHILDREN(head)
    Tensor forward(const Tensor& x) const override { return head(reshape(x, {-1, 16})); }
  };
  const test::TemporaryDirectory directory;
  const auto train = [&](const std::string& checkpoint, int64_t stop_after) {
    manual_seed(1);
    Net net;
    std::vector<int64_t> seen;
    int64_t steps = 0;
    nn::fit(net, dataset,
            {.epochs = 2,
             .batch = 8,
             .sampler = sampler,
             .checkpoint = checkpoint,
             .resume = !checkpoint.empty(),
             .progress = false,
             .on_step =
                 [&](const nn::StepReport& step) {
                   seen.insert(seen.end(), step.batch.samples.begin(), step.batch.samples.end());
                   ++steps;
                 },
             .stop = [&] { return stop_after > 0 && steps >= stop_after; }});
    return std::pair(net.head.weight.tensor().clone(), seen);
  };
  const auto whole = train("", 0);
  std::vector<int64_t> expected = sampler.order(0), second = sampler.order(1);
  expected.insert(expected.end(), second.begin(), second.end());
  CHECK(whole.second == expected);
  train(directory / "run", 4);
  CHECK_SAME(train(directory / "run", 0).first, whole.first);
}
