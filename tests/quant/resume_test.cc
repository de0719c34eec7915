// Quantisation-aware training that is interrupted and goes on; what fit freezes in it, and when.

#include <filesystem>

#include "../../nn/fit.h"
#include "../../nn/optim/adamw.h"
#include "../bpu/agreement.h"
#include "prepared.h"

using namespace sinter;
using namespace sinter::quant;

namespace {

// 6 steps an epoch.
data::ImageDataset dataset() { return test::small_dataset(48); }

nn::FitOptions training() {
  return {.epochs = 2,
          .batch = 8,
          .optimizer = optim::SGD{{.lr = 0.02, .momentum = 0.9, .weight_decay = 1e-4}},
          .seed = 4,
          .workers = 0,
          .progress = false};
}

QConfig qconfig_of(const std::string& fake_quant, const std::string& observer, const std::string& type = "int8") {
  return get_default_qconfig({.activation_fake_quant = fake_quant,
                              .weight_fake_quant = fake_quant,
                              .activation_observer = observer,
                              .activation_qkwargs = {{"dtype", type}},
                              .weight_qkwargs = {{"dtype", type == "int16" ? "int8" : type}}});
}

// Calls f before an image is used, with the count of those before it.
nn::FitOptions hooked(nn::FitOptions options, const std::function<void(int64_t)>& f) {
  options.augment.push_back(
      [f, images = std::make_shared<int64_t>(0)](const data::Image&, Random&) { f((*images)++); });
  return options;
}

// All ranges, and all scales of activations and weights.
struct Seen {
  Tensor ranges;
  std::vector<float> scales;
};

Seen seen_by(const PreparedModel& model) {
  Seen seen{test::ranges(model), {}};
  for (const ActivationQuantizer* quantizer : model.quantizers())
    if (quantizer->observed()) seen.scales.push_back(quantizer->scale(model.march()));
  return seen;
}

}  // namespace

TEST_CASE("training that is stopped anywhere and resumed in a fresh model ends with the bits of one that was not") {
  const test::OneThread one;
  const auto data = dataset();
  struct Run {
    PrepareOptions prepare;
    optim::AnyOptimizer optimizer;
    std::optional<int64_t> freeze_observers{}, freeze_scales{}, freeze_batch_norm{};
    double ema = 0;
    int64_t accumulate = 1;
  };
  const std::vector<Run> runs{
      {{.qconfig = qconfig_of("fake_quant", "min_max")}, optim::SGD{{.lr = 0.02, .momentum = 0.9}}},
      {{.qconfig = qconfig_of("fake_quant", "kl"), .batch_norm = "with_bn"},
       optim::SGD{{.lr = 0.02, .momentum = 0.9}},
       {},
       {},
       7,
       0.9},
      {{.qconfig = qconfig_of("lsq", "percentile", "int4"), .batch_norm = "with_bn"},
       optim::AdamW{{.lr = 0.002}},
       {},
       {},
       {},
       0.8,
       2},
      {{.qconfig = qconfig_of("pact", "mse"), .march = March::bernoulli}, optim::AdamW{{.lr = 0.002}}, {}, 7},
      {{.qconfig = qconfig_of("fake_quant", "mix", "int16")}, optim::SGD{{.lr = 0.02}}, 7}};
  for (size_t i = 0; i < runs.size(); ++i) {
    CAPTURE(i);
    const auto fresh = [&] {
      PreparedModel model = test::prepared(runs[i].prepare);
      set_fake_quantize(model, FakeQuantState::calibration);
      for (uint64_t batch = 0; batch < 2; ++batch) model(test::images({4, 8, 8, 3}, batch));
      set_fake_quantize(model, FakeQuantState::qat);
      return model;
    };
    nn::FitOptions options = training();
    options.optimizer = runs[i].optimizer;
    options.freeze_observers_after = runs[i].freeze_observers;
    options.freeze_scales_after = runs[i].freeze_scales;
    options.freeze_batch_norm_after = runs[i].freeze_batch_norm;
    options.ema = runs[i].ema;
    options.accumulate = runs[i].accumulate;
    PreparedModel whole = fresh();
    const auto expected = nn::fit(whole, data, options);
    const test::TemporaryDirectory directory;
    options.checkpoint = directory / "checkpoint";
    // In the middle of epochs, before and behind what freezes; and twice in one run.
    for (const std::vector<int64_t>& stops : std::vector<std::vector<int64_t>>{{4}, {6}, {3, 9}}) {
      CAPTURE(stops.front());
      options.resume = false;
      int64_t done = 0;
      for (const int64_t stop : stops) {
        PreparedModel part = done == 0 ? fresh() : test::prepared(runs[i].prepare);
        set_fake_quantize(part, FakeQuantState::qat);
        CHECK(nn::fit(part, data,
                      hooked(options,
                             [&](int64_t image) {
                               if (image + 1 == (stop - done) * 8) nn::request_stop();
                             }))
                  .stopped);
        nn::request_stop(false);
        options.resume = true;
        done = stop;
      }
      // The file has all of what was observed.
      PreparedModel resumed = test::prepared(runs[i].prepare);
      const auto history = nn::fit(resumed, data, hooked(options, [](int64_t) {}));
      test::check_same_state(resumed, test::state_of(whole));
      REQUIRE(history.epochs.size() == expected.epochs.size());
      for (size_t k = 0; k < history.epochs.size(); ++k) CHECK(history.epochs[k].loss == expected.epochs[k].loss);
      for (PreparedModel* model : {&whole, &resumed}) set_fake_quantize(*model, FakeQuantState::validation);
      const Tensor x = test::images({4, 8, 8, 3}, 9);
      CHECK_SAME(test::run(resumed, x), test::run(whole, x));
      set_fake_quantize(whole, FakeQuantState::qat);
      std::filesystem::remove(options.checkpoint);
    }
  }
}

TEST_CASE("ranges change until fit freezes observers, learned scales until it freezes scales") {
  const test::OneThread one;
  const auto data = dataset();
  for (const std::string fake_quant : {"fake_quant", "lsq", "pact"})
    for (const bool scales : {false, true})
      for (const int64_t after : {0, 5, 8}) {
        CAPTURE(fake_quant);
        CAPTURE(scales);
        CAPTURE(after);
        PreparedModel model = test::calibrated({.qconfig = qconfig_of(fake_quant, "min_max")});
        set_fake_quantize(model, FakeQuantState::qat);
        nn::FitOptions options = training();
        (scales ? options.freeze_scales_after : options.freeze_observers_after) = after;
        std::vector<Seen> before;  // each step
        nn::fit(model, data, hooked(options, [&](int64_t image) {
                  if (image % 8 == 0) before.push_back(seen_by(model));
                }));
        before.push_back(seen_by(model));
        REQUIRE(before.size() == 13);
        const bool learns = fake_quant != "fake_quant";
        for (int64_t step = 0; step < 12; ++step) {
          CAPTURE(step);
          const Seen &then = before[static_cast<size_t>(step)], &next = before[static_cast<size_t>(step) + 1];
          const bool frozen = step >= after;
          // What is learned was observed in the calibration alone, and is learned on when observers are frozen.
          CHECK(test::difference(next.ranges, then.ranges, 0, 0).empty() == (learns || frozen));
          CHECK((next.scales == then.scales) == (frozen && (scales || !learns)));
        }
      }
}
