#include "../../nn/fit.h"

#include <unistd.h>

#include <cmath>
#include <filesystem>

#include "../../core/ops/arithmetic.h"
#include "../../core/ops/reduce.h"
#include "../../core/ops/relu.h"
#include "../../core/ops/reshape.h"
#include "../../core/random.h"
#include "../../core/serialize.h"
#include "../../nn/checkpoint.h"
#include "../../nn/layers/batch_norm2d.h"
#include "../../nn/layers/conv2d.h"
#include "../../nn/layers/dropout.h"
#include "../../nn/layers/linear.h"
#include "../../nn/optim/adam.h"
#include "../../nn/optim/adamw.h"
#include "../../nn/optim/lamb.h"
#include "../../nn/optim/rmsprop.h"
#include "../support.h"

using namespace sinter;

namespace {

struct Net : nn::Module {
  nn::Conv2d conv{{.in = 1, .out = 4, .kernel = 3, .padding = 1, .bias = false}};
  nn::BatchNorm2d bn{4};
  nn::Linear head{{.in = 4, .out = 2}};
  SINTER_CHILDREN(conv, bn, head)
  Tensor forward(const Tensor& x) const override { return head(mean(relu(bn(conv(x))), {1, 2})); }
};

// Vertical or horizontal stripes with noise: 5x5 pixels, two classes.
data::ImageDataset stripes(int64_t count, uint64_t seed = 1) {
  Tensor images = Tensor::empty({count, 5, 5}, DType::uint8), labels = Tensor::empty({count}, DType::int64);
  Random random(seed);
  for (int64_t n = 0; n < count; ++n) {
    const int64_t label = random.below(2);
    labels.mutable_data<int64_t>()[n] = label;
    for (int64_t i = 0; i < 25; ++i) {
      const bool bright = (label == 0 ? i / 5 : i % 5) % 2 == 0;
      images.mutable_data<uint8_t>()[n * 25 + i] = static_cast<uint8_t>(random.below(100) + (bright ? 150 : 0));
    }
  }
  data::ImageDatasetOptions centred;
  centred.mean = centred.std = std::vector<double>(1, 0.5);
  return {images, labels, centred};
}

Net fresh() {
  manual_seed(3);
  return Net();
}

nn::FitOptions options(int64_t epochs = 3) {
  return {.epochs = epochs,
          .batch = 16,
          .optimizer = optim::SGD{{.lr = 0.1, .momentum = 0.9}},
          .augment = {data::pad_crop(1)},
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

struct File {
  std::string path = (std::filesystem::temp_directory_path() / text("fit_test.", int64_t{::getpid()})).string();
  ~File() { std::filesystem::remove(path); }
};

}  // namespace

TEST_CASE("a small problem is learned, and reported epoch by epoch") {
  const auto train = stripes(200), test = stripes(100, 2);
  Net net = fresh();
  std::vector<int64_t> seen;
  auto o = options();
  o.validation = &test;
  o.on_epoch = [&](const nn::EpochReport& report) { seen.push_back(report.epoch); };
  const nn::History history = nn::fit(net, train, o);
  CHECK(!history.stopped);
  CHECK(seen == std::vector<int64_t>{0, 1, 2});
  REQUIRE(history.epochs.size() == 3);
  CHECK(history.epochs[2].images == 200);
  CHECK(history.epochs[2].loss < history.epochs[0].loss);
  CHECK(history.epochs[2].validation->images == 100);
  const nn::Evaluation e = nn::evaluate(net, test);
  CHECK(e.accuracy == history.epochs[2].validation->accuracy);
  CHECK(e.accuracy > 90);
  CHECK(net.training());
  CHECK(!net.parameters()[0].value.tensor().grad().defined());
}

TEST_CASE("the same seed gives the same bits, whatever the workers") {
  const auto train = stripes(100);
  Net a = fresh(), b = fresh(), c = fresh();
  auto o = options();
  nn::fit(a, train, o);
  o.workers = 3;
  nn::fit(b, train, o);
  check_same(a, b);
  o.seed = 6;
  nn::fit(c, train, o);
  CHECK(!test::difference(a.head.weight, c.head.weight, 0, 0).empty());
}

TEST_CASE("a run that is stopped anywhere and resumed ends with the bits of one that was not") {
  const auto train = stripes(100);  // 7 steps an epoch
  const std::vector<optim::AnyOptimizer> optimizers{
      optim::SGD{{.lr = 0.1, .momentum = 0.9}}, optim::AdamW{{.lr = 0.01}}, optim::Adam{{.lr = 0.01}},
      optim::RMSprop{{.lr = 0.001, .momentum = 0.9, .centered = true}}, optim::Lamb{{.lr = 0.01}}};
  const std::vector<int> stops{3, 7, 16};
  for (size_t i = 0; i < optimizers.size(); ++i) {
    auto o = options();
    o.optimizer = optimizers[i];
    if (i == 1) o.freeze_batch_norm_after = 7;  // of the stops one is before that, one there and one behind
    Net whole = fresh();
    const auto expected = nn::fit(whole, train, o);
    for (const int stop_at : stops) {
      const File file;
      o.checkpoint = file.path;
      int steps = 0;
      auto stopping = o;
      // An augmentation runs once an image: a hook that is called in the middle of an epoch.
      stopping.workers = 0;
      stopping.augment.push_back([&](const data::Image&, Random&) {
        if (++steps == stop_at * 16) nn::request_stop();
      });
      auto going_on = o;
      going_on.resume = true;
      going_on.augment.push_back([](const data::Image&, Random&) {});
      Net net = fresh();
      CHECK(nn::fit(net, train, stopping).stopped);
      nn::request_stop(false);
      Net resumed = fresh();
      const auto history = nn::fit(resumed, train, going_on);
      CHECK(!history.stopped);
      check_same(resumed, whole);
      REQUIRE(history.epochs.size() == expected.epochs.size());
      for (size_t k = 0; k < history.epochs.size(); ++k) {
        CHECK(history.epochs[k].loss == expected.epochs[k].loss);
        CHECK(history.epochs[k].accuracy == expected.epochs[k].accuracy);
        CHECK(history.epochs[k].lr == expected.epochs[k].lr);
      }
    }
    o.checkpoint.clear();
  }
}

TEST_CASE("a resumed run drops what it would have dropped") {
  struct Dropping : nn::Module {
    Net net = fresh();
    nn::Dropout dropout{{.p = 0.3}};
    SINTER_CHILDREN(net, dropout)
    Tensor forward(const Tensor& x) const override { return net(dropout(x)); }
  };
  const auto train = stripes(100);
  auto o = options();
  Dropping whole;
  nn::fit(whole, train, o);
  {
    Dropping other;
    default_random().bits();
    nn::fit(other, train, o);
    CHECK(!test::difference(other.net.head.weight, whole.net.head.weight, 0, 0).empty());
  }
  const File file;
  o.checkpoint = file.path;
  o.checkpoint_steps = 1;
  o.workers = 0;
  int images = 0;
  auto stopping = o;
  stopping.augment.push_back([&](const data::Image&, Random&) {
    if (++images == 10 * 16) nn::request_stop();
  });
  Dropping stopped;
  CHECK(nn::fit(stopped, train, stopping).stopped);
  nn::request_stop(false);
  Dropping resumed;
  default_random().bits();  // the checkpoint's position counts
  o.resume = true;
  o.augment.push_back([](const data::Image&, Random&) {});
  nn::fit(resumed, train, o);
  check_same(resumed, whole);
}

TEST_CASE("a finished run is resumed to itself, and one without a checkpoint starts") {
  const auto train = stripes(50);
  const File file;
  auto o = options(1);
  o.checkpoint = file.path;
  o.resume = true;
  Net a = fresh(), b = fresh();
  nn::fit(a, train, o);
  CHECK(nn::fit(b, train, o).epochs.size() == 1);
  check_same(a, b);
}

TEST_CASE("a checkpoint of another run is refused with what differs") {
  const auto train = stripes(50);
  const File file;
  auto o = options(1);
  o.checkpoint = file.path;
  Net net = fresh();
  nn::fit(net, train, o);
  o.resume = true;
  o.batch = 8;
  o.seed = 9;
  o.freeze_batch_norm_after = 2;
  CHECK_ERROR(nn::fit(net, train, o), "batch is 16 there and 8 here");
  CHECK_ERROR(nn::fit(net, train, o), "seed is 5 there and 9 here");
  CHECK_ERROR(nn::fit(net, train, o), "freeze_batch_norm_after is never there and 2 here");
  net.head.bias.set_weight_decay(0.5);
  CHECK_ERROR(nn::fit(net, train, o),
              "parameter head.bias is float32 [2], lr 0.1, weight decay 0 there and float32 [2], lr 0.1, weight decay "
              "0.5 here");
  net.head.bias.set_weight_decay({});
  auto bytes = std::filesystem::file_size(file.path);
  std::filesystem::resize_file(file.path, bytes / 2);
  CHECK_ERROR(nn::fit(net, train, o), file.path);
}

TEST_CASE("a parameter that is used but not listed is named") {
  struct Forgot : nn::Module {
    nn::Linear head{{.in = 1, .out = 2}};
    Parameter scale{Tensor::ones({1})};
    SINTER_CHILDREN(head)
    Tensor forward(const Tensor& x) const override { return head(mean(x, {1, 2}) * scale.tensor()); }
  };
  Forgot net;
  CHECK_ERROR(nn::fit(net, stripes(20), options()), "parameter of shape [1] used in mul but not in the module tree");
}

TEST_CASE("training that diverges is stopped with advice") {
  struct Diverging : Net {
    SINTER_CHILDREN(conv, bn, head)
    Tensor forward(const Tensor& x) const override { return Net::forward(x) * 1e38 * 1e38; }
  };
  Diverging net;
  CHECK_ERROR(nn::fit(net, stripes(50), options()),
              "in epoch 1, step 1: training has diverged; a lower learning rate, ");
}

TEST_CASE("clipping, smoothing and fewer batches are what they say") {
  const auto train = stripes(100);
  Net net = fresh(), plain = fresh();
  auto o = options(1);
  o.batches = 2;
  CHECK(nn::fit(net, train, o).epochs[0].images == 32);
  nn::fit(plain, train, options(1));
  auto smooth = options(1);
  smooth.label_smoothing = 0.2;
  Net smoothed = fresh();
  nn::fit(smoothed, train, smooth);
  CHECK(!test::difference(smoothed.head.weight, plain.head.weight, 0, 0).empty());

  // A clipped step of rate 1 moves all parameters together by at most the norm.
  Net before = fresh(), after = fresh();
  auto clipped = options(1);
  clipped.batches = 1;
  clipped.optimizer = optim::SGD{{.lr = 1}};
  clipped.schedule = optim::constant();
  clipped.clip_norm = 1e-3;
  nn::fit(after, train, clipped);
  double moved = 0;
  const auto x = before.parameters(), y = after.parameters();
  for (size_t i = 0; i < x.size(); ++i)
    for (int64_t k = 0; k < x[i].value.tensor().elements(); ++k)
      moved += std::pow(x[i].value.tensor().data<float>()[k] - y[i].value.tensor().data<float>()[k], 2);
  CHECK(std::sqrt(moved) == doctest::Approx(1e-3).epsilon(1e-2));
}

namespace {

// Is run as it is written; notes what is frozen in each of its steps.
struct Watching : Net {
  SINTER_CHILDREN(conv, bn, head)
  std::vector<nn::Frozen>* seen = nullptr;
  Tensor forward(const Tensor& x) const override {
    if (training_mode()) seen->push_back(nn::Freezing::now());
    return Net::forward(x);
  }
  bool traceable() const override { return false; }
  nn::Frozen freezable() const override { return {.observers = true, .scales = true}; }
};

}  // namespace

TEST_CASE("fit freezes after so many steps of the whole run, for its steps alone") {
  const auto train = stripes(64);  // 4 steps an epoch
  std::vector<nn::Frozen> seen;
  Watching net;
  net.seen = &seen;
  const File file;
  auto o = options(2);
  o.checkpoint = file.path;
  o.freeze_observers_after = 5;
  o.freeze_batch_norm_after = 0;
  o.freeze_scales_after = 3;
  o.on_epoch = [&](const nn::EpochReport& report) {
    CHECK(nn::Freezing::now() == nn::Frozen{});
    if (report.epoch == 0) nn::request_stop();
  };
  CHECK(nn::fit(net, train, o).stopped);
  nn::request_stop(false);
  o.resume = true;
  CHECK(!nn::fit(net, train, o).stopped);
  CHECK(nn::Freezing::now() == nn::Frozen{});
  REQUIRE(seen.size() == 8);
  for (size_t step = 0; step < 8; ++step) {
    CAPTURE(step);
    CHECK(seen[step] == nn::Frozen{.observers = step >= 5, .batch_norm = true, .scales = step >= 3});
  }
}

TEST_CASE("frozen batch normalisation in fit is PyTorch's in eval()") {
  struct Net3 : Net {
    Net3() { head = nn::Linear{{.in = 4, .out = 3}}; }
    SINTER_CHILDREN(conv, bn, head)
  };
  int cases = 0;
  for (const auto& c : test::golden("fit")) {
    CAPTURE(c.name);
    ++cases;
    const auto named = [](const test::NamedTensors& tensors, const Net& like) {
      std::vector<NamedParameter> state;
      for (const auto& own : like.named_state())
        for (const auto& tensor : tensors)
          if (tensor.first == own.name) state.push_back({own.name, Parameter(tensor.second, false)});
      return state;
    };
    Net3 net;
    net.load_state(named(c.inputs, net));
    const int64_t steps = c.attribute<int64_t>("steps"), after = c.attribute<int64_t>("after");
    nn::FitOptions o{
        .epochs = steps,
        .batch = 12,
        .optimizer = optim::SGD{{.lr = c.attribute<double>("lr"), .momentum = c.attribute<double>("momentum")}},
        .schedule = optim::constant(),
        .progress = false};
    if (after < steps) o.freeze_batch_norm_after = after;
    const data::ImageDataset images(c.input("images"), c.input("labels"), {.mean = {0.5}, .std = {0.5}});
    const nn::History history = nn::fit(net, images, o);
    CHECK(history.epochs.back().loss == doctest::Approx(c.output("loss").item()).epsilon(1e-5));
    for (const auto& own : net.named_state()) {
      CAPTURE(own.name);
      CHECK_CLOSE(own.value.tensor().detach(), c.output(own.name), 1e-4, 1e-5);
    }
  }
  CHECK(cases == 3);
}

TEST_CASE("an option that freezes what is not there is an error that names it") {
  struct Plain : nn::Module {
    nn::Linear head{{.in = 1, .out = 2}};
    SINTER_CHILDREN(head)
    Tensor forward(const Tensor& x) const override { return head(mean(x, {1, 2})); }
  };
  const auto train = stripes(20);
  Plain plain;
  Net net = fresh();
  auto o = options(1);
  o.freeze_batch_norm_after = 100;
  nn::fit(net, train, o);
  CHECK_ERROR(nn::fit(plain, train, o),
              "fit: freeze_batch_norm_after is 100, but the model has no batch normalisation to freeze");
  o.freeze_batch_norm_after = -1;
  CHECK_ERROR(nn::fit(net, train, o), "fit: freeze_batch_norm_after is -1, expected 0 or more");
  o = options(1);
  o.freeze_observers_after = 3;
  CHECK_ERROR(nn::fit(net, train, o), "fit: freeze_observers_after is 3, but the model has no observers to freeze");
  o = options(1);
  o.freeze_scales_after = 3;
  CHECK_ERROR(nn::fit(net, train, o), "fit: freeze_scales_after is 3, but the model has no scales of activations");
}

TEST_CASE("evaluation is in evaluation behaviour and changes nothing") {
  Net net = fresh();
  net.train();
  const Net before = net;
  const auto test = stripes(30);
  const nn::Evaluation a = nn::evaluate(net, test, {.batch = 7}), b = nn::evaluate(net, test);
  CHECK(a.accuracy == b.accuracy);
  CHECK(a.loss == doctest::Approx(b.loss));
  CHECK(a.images == 30);
  check_same(net, before);
  CHECK(nn::evaluate(
            [](const Tensor& x) {
              return Tensor::zeros({x.size(0), 2});
            },
            test)
            .loss == doctest::Approx(std::log(2)));
}

TEST_CASE("a module is evaluated as its fused graph, with the same bits, or as it is written where it has no graph") {
  const auto test = stripes(30);
  const Net net = fresh();
  CHECK(nn::evaluate(net, test).loss == nn::evaluate([&](const Tensor& x) { return net(x); }, test).loss);
  struct Odd : nn::Module {
    nn::Linear head{{.in = 1, .out = 2}};
    SINTER_CHILDREN(head)
    Tensor forward(const Tensor& x) const override {
      const Tensor y = head(mean(x, {1, 2}));
      return x.size(0) % 2 == 0 ? y : relu(y);
    }
  };
  const Odd odd;
  CHECK(nn::evaluate(odd, test, {.batch = 7}).loss ==
        nn::evaluate([&](const Tensor& x) { return odd(x); }, test, {.batch = 7}).loss);
}

TEST_CASE("fit refuses options that make no sense") {
  Net net = fresh();
  const auto train = stripes(20);
  const auto refused = [&](auto change, const char* message) {
    auto o = options();
    change(o);
    CHECK_ERROR(nn::fit(net, train, o), message);
  };
  refused([](auto& o) { o.epochs = -1; }, "fit: epochs is -1, expected 0 or more");
  refused([](auto& o) { o.batch = 0; }, "batch is 0, expected at least 1");
  refused([](auto& o) { o.label_smoothing = 1; }, "fit: label_smoothing is 1");
  refused([](auto& o) { o.resume = true; }, "need a checkpoint to name the file");
}

TEST_CASE("a model is saved and loaded, and a damaged or foreign file leaves it as it was") {
  const File file;
  Net a = fresh(), b;
  nn::save(a, file.path);
  nn::load(b, file.path);
  check_same(a, b);

  nn::Linear other{{.in = 3, .out = 2}};
  const nn::Linear before = other;
  CHECK_ERROR(nn::load(other, file.path), file.path);
  CHECK_ERROR(nn::load(other, file.path), "bn.bias is not in the module");
  check_same(other, before);

  std::filesystem::resize_file(file.path, std::filesystem::file_size(file.path) - 5);
  Net c;
  const Net untouched = c;
  CHECK_ERROR(nn::load(c, file.path), "it was cut or altered");
  check_same(c, untouched);
}

TEST_CASE("a profiler sees training by node, with the optimiser's steps and the wait for data") {
  Net net = fresh();
  const data::ImageDataset images = stripes(48);
  const Profiler profiler;
  nn::fit(net, images, options(2));
  const auto entries = test::entries_of(profiler);
  for (const char* node : {"conv", "head"}) {
    CAPTURE(node);
    CHECK(entries.at(node).forward.calls == 7);  // with that which shows that the last step was good
    CHECK(entries.at(node).backward.calls == 6);
  }
  CHECK(entries.at("optimizer step").forward.calls == 6);
  CHECK(entries.at("wait for data").forward.calls == 8);  // with that which ends an epoch
}

namespace {
// Plain steps, of which one is far too large.
struct Spike final : optim::Optimizer {
  int64_t ruined;
  float rate;
  Spike(int64_t step, float by) : Optimizer(0.1, 0, {}), ruined(step), rate(by) {}
  std::string describe() const override { return "Spike"; }
  std::vector<std::string> slots() const override { return {}; }
  void update(const optim::Chunk& c) const override {
    for (int64_t i = 0; i < c.count; ++i) c.value[i] -= (c.steps == ruined ? rate : 0.01F) * c.gradient[i];
  }
};
}  // namespace

TEST_CASE("a run that diverges keeps its last good checkpoint, wherever the step was that ruined it") {
  const auto train = stripes(32);
  nn::FitOptions o = options(2);
  o.optimizer = Spike(-1, 0);
  Net good = fresh();
  nn::fit(good, train, o);
  for (const int64_t ruined : {1, 2, 3}) {  // of four steps, two an epoch; the last of the run, too
    for (const float rate : {1e37F, 3e38F}) {
      CAPTURE(ruined);
      CAPTURE(rate);
      const File file;
      nn::FitOptions saved = o;
      saved.checkpoint = file.path;
      saved.checkpoint_steps = 1;
      saved.optimizer = Spike(ruined, rate);
      Net net = fresh();
      CHECK_ERROR(nn::fit(net, train, saved), "training has diverged");
      // Without the spike, it goes on from the file to where an untroubled run ends.
      saved.optimizer = Spike(-1, 0);
      saved.resume = true;
      Net again = fresh();
      nn::fit(again, train, saved);
      check_same(again, good);
    }
  }
}

TEST_CASE("values that are not finite end the run with their name") {
  const File file;
  const auto train = stripes(32);
  nn::FitOptions o = options(1);
  o.checkpoint = file.path;
  o.on_epoch = [](const nn::EpochReport&) { CHECK(false); };
  o.optimizer = optim::SGD{{.lr = 1e38}};
  Net net = fresh();
  CHECK_ERROR(nn::fit(net, train, o), "training has diverged");
  CHECK(!std::filesystem::exists(file.path));

  // A buffer, which no loss of training shows.
  struct Counting : Net {
    Parameter seen{Tensor::ones({1}), false}, always{Tensor::full({1}, -INFINITY), false};
    SINTER_CHILDREN(conv, bn, head, seen, always)
    Tensor forward(const Tensor& x) const override { return Net::forward(x); }
  };
  Counting counting;
  o = options(1);
  o.progress = false;
  CHECK_NOTHROW(nn::fit(counting, train, o));  // one that was infinite before may be
  o.schedule = optim::cosine();
  o.augment = {[&](const data::Image&, Random&) { counting.seen.tensor().mutable_data<float>()[0] = NAN; }};
  o.workers = 0;
  CHECK_ERROR(nn::fit(counting, train, o), "fit: seen is no longer finite in epoch 1, step 2");
}

namespace {
// Stripes of which one image has a value of its own.
struct Spoiled final : data::Dataset {
  data::ImageDataset clean = stripes(40);
  float value = NAN;
  int64_t size() const override { return clean.size(); }
  Shape image_shape() const override { return clean.image_shape(); }
  void read(int64_t index, std::span<float> image) const override {
    clean.read(index, image);
    if (index == 17) image[3] = value;
  }
  int64_t label(int64_t index) const override { return clean.label(index); }
  std::vector<float> black() const override { return clean.black(); }
};
}  // namespace

TEST_CASE("an image that is not finite is named, not taken for divergence") {
  Spoiled spoiled;
  Net net = fresh();
  nn::FitOptions o = options(1);
  o.augment = {};
  CHECK_ERROR(nn::fit(net, spoiled, o), "fit: image 17 of the dataset has NaN among its values");
  spoiled.value = INFINITY;
  net = fresh();
  CHECK_ERROR(nn::fit(net, spoiled, o), "fit: image 17 of the dataset has an infinity among its values");
  const auto train = stripes(32);
  o.validation = &spoiled;
  net = fresh();
  CHECK_ERROR(nn::fit(net, train, o), "fit: the validation loss is nan after epoch 1");
}

TEST_CASE("what ends a run ends that run alone") {
  const auto train = stripes(32);
  Net net = fresh();
  nn::FitOptions o = options(3);
  o.on_epoch = [](const nn::EpochReport& report) {
    if (report.epoch == 0) nn::request_stop();
  };
  const auto first = nn::fit(net, train, o);
  CHECK(first.stopped);
  CHECK(first.epochs.size() == 1);
  CHECK(!nn::stop_requested());
  o.on_epoch = {};
  const auto second = nn::fit(net, train, o);
  CHECK(!second.stopped);
  CHECK(second.epochs.size() == 3);

  // Between two runs, it is for the next one; taken back, for none.
  nn::request_stop();
  CHECK(nn::stop_requested());
  CHECK(nn::fit(net, train, o).epochs.empty());
  CHECK(nn::fit(net, train, o).epochs.size() == 3);
  nn::request_stop();
  nn::request_stop(false);
  CHECK(nn::fit(net, train, o).epochs.size() == 3);
}

TEST_CASE("one image left over can be left out") {
  struct Vectors : nn::Module {
    nn::Linear first{{.in = 25, .out = 4}}, head{{.in = 4, .out = 2}};
    nn::BatchNorm2d bn{4};
    SINTER_CHILDREN(first, bn, head)
    Tensor forward(const Tensor& x) const override { return head(bn(first(reshape(x, {-1, 25})))); }
  };
  const auto train = stripes(33);
  nn::FitOptions o = options(1);
  Vectors net;
  CHECK_ERROR(nn::fit(net, train, o), ".drop_last = true (of fit and DataLoader) leaves it out");
  o.drop_last = true;
  CHECK(nn::fit(net, train, o).epochs[0].images == 32);
}

TEST_CASE("an optimiser's rule for a layer that is not there is refused before the first step") {
  Net net = fresh();
  nn::FitOptions o = options(1);
  o.optimizer = optim::SGD{{.lr = 0.1, .rules = {{.match = "backbone.*", .lr_scale = 0}}}};
  CHECK_ERROR(nn::fit(net, stripes(32), o), "optimizer: a rule's match 'backbone.*' is the name of no parameter");
  check_same(net, fresh());
}

TEST_CASE("frozen layers stay, and a model that is all frozen is refused") {
  Net net = fresh();
  net.conv.weight.tensor().set_requires_grad(false);
  nn::fit(net, stripes(32), options(1));
  CHECK_SAME(net.conv.weight.tensor().detach(), fresh().conv.weight.tensor().detach());
  for (NamedParameter& p : net.parameters()) p.value.tensor().set_requires_grad(false);
  CHECK_ERROR(nn::fit(net, stripes(32), options(1)), "fit: every parameter of the model is frozen");
}

TEST_CASE("several outputs are no logits") {
  struct Two : Net {
    SINTER_CHILDREN(conv, bn, head)
    std::vector<Tensor> forward_all(std::span<const Tensor> x) const override {
      return {Net::forward(x[0]), Net::forward(x[0])};
    }
    Tensor forward(const Tensor& x) const override { return nn::Module::forward(x); }
  };
  Two net;
  CHECK_ERROR(nn::fit(net, stripes(32), options(1)), "it has 2 outputs, but fit and evaluate expect one");
}

TEST_CASE("a file whose parameters do not fit leaves what modules add as it was") {
  struct Extra final : nn::Module {
    Parameter w;
    int64_t number;
    Extra(int64_t size, int64_t n) : w(Tensor::zeros({size})), number(n) {}
    SINTER_CHILDREN(w)
    Tensor forward(const Tensor& x) const override { return x + w; }
    void save_extra(Archive& archive, const std::string& prefix) const override {
      archive.set(prefix + "extra", number);
    }
    void load_extra(const Archive& archive, const std::string& prefix) override {
      number = archive.integer(prefix + "extra");
    }
  };
  const File file;
  nn::save(Extra(3, 7), file.path);
  Extra other(4, 1), same(3, 1);
  CHECK_ERROR(nn::load(other, file.path), "w is float32 [3], expected float32 [4]");
  CHECK(other.number == 1);
  nn::load(same, file.path);
  CHECK(same.number == 7);
}

TEST_CASE("a file that is refused changes nothing, whatever modules add to it") {
  struct Extra : nn::Module {
    Parameter scale{Tensor::ones({1})};
    int64_t state = 0;
    SINTER_CHILDREN(scale)
    Tensor forward(const Tensor& x) const override { return x * scale.tensor(); }
    void save_extra(Archive& archive, const std::string& prefix) const override {
      archive.set(prefix + "state", state);
    }
    void load_extra(const Archive& archive, const std::string& prefix) override {
      state = archive.integer(prefix + "state");
      check(state != 13, "extra: 13 is no state");
    }
  };
  struct Pair : nn::Module {
    Extra a, b;
    Parameter last{Tensor::ones({2})};
    SINTER_CHILDREN(a, b, last)
    Tensor forward(const Tensor& x) const override { return b(a(x)) * last.tensor(); }
  };
  const File file;
  Pair from, to;
  from.a.state = 1;
  from.b.state = 2;
  from.last = Parameter(Tensor::ones({3}));
  nn::save(from, file.path);
  CHECK_ERROR(nn::load(to, file.path), "last is float32 [3], expected float32 [2]");
  CHECK(to.a.state == 0);
  CHECK(to.b.state == 0);

  from.last = Parameter(Tensor::zeros({2}));
  from.b.state = 13;  // which loading finds after the first module has its own
  nn::save(from, file.path);
  CHECK_ERROR(nn::load(to, file.path), "13 is no state");
  CHECK(to.a.state == 0);
  CHECK(to.b.state == 0);
  check_same(to, Pair());

  from.b.state = 3;
  nn::save(from, file.path);
  nn::load(to, file.path);
  CHECK(to.a.state == 1);
  CHECK(to.b.state == 3);
}
