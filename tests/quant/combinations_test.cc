// Every combination of fake-quant, observer, type and batch-norm mode, each on some of the arithmetics (march,
// rounding, powers of two): prepared, calibrated with two batches, trained, validated by all who compute it, saved,
// loaded and trained on. All of them in the suite "slow", a sample in the fast one.

#include <set>
#include <tuple>

#include "../../nn/checkpoint.h"
#include "../../nn/fit.h"
#include "../bpu/agreement.h"
#include "prepared.h"

using namespace sinter;
using namespace sinter::quant;

namespace {

const Shape kImage{1, 6, 6, 2};

// A convolution, a depthwise one with a residual, a normalised linear layer and a head.
struct Net : nn::Module {
  nn::Conv2d stem{{.in = 2, .out = 8, .kernel = 3, .padding = 1, .bias = false}},
      depthwise{{.in = 8, .out = 8, .kernel = 3, .padding = 1, .groups = 8, .bias = false}},
      point{{.in = 8, .out = 8, .kernel = 1}};
  nn::BatchNorm2d stem_bn{8}, point_bn{8};
  nn::Linear head{{.in = 8, .out = 3}};
  SINTER_CHILDREN(stem, depthwise, point, stem_bn, point_bn, head)
  Tensor forward(const Tensor& x) const override {
    const Tensor y = relu(stem_bn(stem(x)));
    return head(mean(relu(point_bn(point(relu6(depthwise(y)))) + y), {1, 2}));
  }
};

struct Combination {
  std::string fake_quant, observer, type, batch_norm;
  std::string march = "bayes", rounding = "half_to_even", power_of_two = "none";

  std::string name() const { return joined(values()); }
  std::vector<std::string> values() const {
    return {fake_quant, observer, type, batch_norm, march, rounding, power_of_two};
  }
  // Of activations, or of weights, which are never int16 and know no kl.
  Keywords keywords(bool weights) const {
    const std::string dtype = weights && type == "int16" ? "int8" : type;
    std::map<std::string, Keywords::Value> all{{"dtype", dtype}};
    const double reach = weights ? 0.5 : 2;
    // Both batches of the calibration count. A kl and a mix do that by themselves.
    if (!weights && observer != "kl" && observer != "mix") all["averaging_constant"] = 0.25;
    if (observer == "clip") all.insert({{"min", -reach}, {"max", reach}});
    if (observer == "fixed_scale") all["scale"] = reach / (dtype == "int16" ? 16384.0 : dtype == "int8" ? 64.0 : 4.0);
    return Keywords(all);
  }
  PrepareOptions options() const {
    return {.qconfig = get_default_qconfig({.activation_fake_quant = fake_quant,
                                            .weight_fake_quant = fake_quant,
                                            .activation_observer = observer,
                                            .weight_observer = observer == "kl" ? "min_max" : observer,
                                            .activation_qkwargs = keywords(false),
                                            .weight_qkwargs = keywords(true)}),
            .batch_norm = batch_norm,
            .march = march,
            .rounding = rounding,
            .power_of_two = power_of_two};
  }
};

const std::vector<std::string> kFakeQuants{"fake_quant", "lsq", "pact"}, kTypes{"int8", "int4", "int16"},
    kBatchNorms{"fuse_bn", "with_bn"},
    kNames{"clip", "clip_std", "fixed_scale", "kl", "min_max", "mix", "mse", "percentile"},
    kMarches{"bernoulli", "bernoulli2", "bayes", "bayes_e", "nash"}, kRoundings{"half_to_even", "bpu_round"},
    kPowersOfTwo{"none", "activations", "all"};

bool possible(const Combination& c) { return c.type != "int16" || March::named(c.march).int16_activations; }

// Each on three arithmetics of the thirty, or on two of the eighteen with int16, drawn anew where all have had their
// turn.
std::vector<Combination> all_combinations() {
  std::vector<std::array<std::string, 3>> arithmetics;
  for (const std::string& march : kMarches)
    for (const std::string& rounding : kRoundings)
      for (const std::string& power_of_two : kPowersOfTwo) arithmetics.push_back({march, rounding, power_of_two});
  Random random(1);
  std::vector<size_t> left;
  const auto draw = [&](Combination c) {
    for (size_t tries = 0;; ++tries) {
      if (left.empty() || tries > 100)
        for (size_t i = 0; i < arithmetics.size(); ++i) left.push_back(i);
      const auto at = left.begin() + random.below(static_cast<int64_t>(left.size()));
      std::tie(c.march, c.rounding, c.power_of_two) = std::tuple_cat(arithmetics[*at]);
      if (!possible(c)) continue;
      left.erase(at);
      return c;
    }
  };
  std::vector<Combination> all;
  for (const std::string& fake_quant : kFakeQuants)
    for (const std::string& observer : kNames)
      for (const std::string& type : kTypes)
        for (const std::string& batch_norm : kBatchNorms)
          for (int i = 0; i < (type == "int16" ? 2 : 3); ++i)
            all.push_back(draw({fake_quant, observer, type, batch_norm}));
  return all;
}

// Images whose class is which of the channels, or both, is bright.
data::ImageDataset dataset() {
  constexpr int64_t kCount = 80;
  Random random(3);
  Tensor pixels = Tensor::empty({kCount, 6, 6, 2}, DType::uint8), labels = Tensor::empty({kCount}, DType::int64);
  for (int64_t i = 0; i < kCount; ++i) {
    const int64_t label = i % 3;
    labels.mutable_data<int64_t>()[i] = label;
    for (int64_t k = 0; k < 72; ++k)
      pixels.mutable_data<uint8_t>()[i * 72 + k] =
          static_cast<uint8_t>((label == 2 || k % 2 == label ? 120 : 30) + random.below(100));
  }
  return {pixels, labels, {.mean = {0.5}, .std = {0.5}}};
}

Tensor images_of(const data::ImageDataset& data, int64_t begin, int64_t count) {
  Tensor x = Tensor::empty({count, 6, 6, 2});
  for (int64_t i = 0; i < count; ++i) data.read(begin + i, {x.mutable_data<float>() + 72 * i, 72});
  return x;
}

// Its running statistics are those of the data: learned scales would not keep up with statistics on their way there.
Net float_network(const data::ImageDataset& data) {
  Net net = test::randomized(Net{}, 2);
  net.train();
  const NoGrad no_grad;
  for (int i = 0; i < 40; ++i) net(images_of(data, 0, 80));
  return net;
}

void check_scales(const PreparedModel& model) {
  for (const ActivationQuantizer* quantizer : model.quantizers()) CHECK(quantizer->scale(model.march()) >= kMinScale);
}

void check_combination(const Combination& combination, const Net& net, const data::ImageDataset& data) {
  CAPTURE(combination.name());
  const auto fresh = [&] { return prepare_qat(net, Tensor::zeros(kImage), combination.options()); };
  const Tensor x = images_of(data, 0, 4), other = images_of(data, 4, 7);
  PreparedModel model = fresh(), halfway = fresh();
  set_fake_quantize(model, FakeQuantState::calibration);
  model(x);
  const test::TemporaryDirectory directory;
  nn::save(model, directory / "halfway");
  nn::load(halfway, directory / "halfway");
  set_fake_quantize(halfway, FakeQuantState::calibration);
  const Range first = model.input_quantizer(0).range();
  for (PreparedModel* m : {&model, &halfway}) (*m)(other);
  test::check_same_state(halfway, test::state_of(model));
  if (combination.observer == "min_max") {
    const Range second = Samples(other).range(), both = model.input_quantizer(0).range();
    CHECK(both.min == first.min + 0.5f * (second.min - first.min));
    CHECK(both.max == first.max + 0.5f * (second.max - first.max));
    CHECK(first.min != second.min);
  }
  test::check_agreement(model, x);  // leaves it in QAT
  // Learned scales of 16 bits are 256 times smaller; so are their steps.
  const optim::Rule small_steps{.match =
                                    [&](const NamedParameter& parameter) {
                                      return combination.type == "int16" &&
                                             parameter.name.ends_with("activation.scale");
                                    },
                                .lr_scale = 1.0 / 256};
  nn::FitOptions options{
      .epochs = 2,
      .batch = 8,
      .optimizer = optim::SGD{{.lr = 0.01, .momentum = 0.9, .weight_decay = 1e-4, .rules = {small_steps}}},
      .progress = false};
  const nn::History history = nn::fit(model, data, options);  // 20 steps
  CHECK(history.epochs[1].loss < history.epochs[0].loss);
  check_scales(model);
  test::check_agreement(model, x);

  nn::save(model, directory / "model");
  PreparedModel loaded = fresh();
  nn::load(loaded, directory / "model");
  test::check_same_state(loaded, test::state_of(model));
  // One step, and two other batches.
  options.epochs = 1;
  for (const int64_t steps : {1, 2}) {
    options.batches = steps;
    options.seed = static_cast<uint64_t>(steps);
    for (PreparedModel* m : {&model, &loaded}) nn::fit(*m, data, options);
    test::check_same_state(loaded, test::state_of(model));
  }
  for (PreparedModel* m : {&model, &loaded}) set_fake_quantize(*m, FakeQuantState::validation);
  CHECK_SAME(test::run(loaded, x), test::run(model, x));
}

}  // namespace

TEST_CASE("a sample of the combinations, with every value of each, trains, validates and goes on from a file") {
  const test::OneThread one;
  const auto data = dataset();
  const Net net = float_network(data);
  std::set<std::string> seen;
  for (size_t i = 0; i < kNames.size() + 1; ++i) {
    Combination c{kFakeQuants[i % 3], kNames[i % kNames.size()], kTypes[(i + i / 3) % 3],      kBatchNorms[i / 2 % 2],
                  kMarches[i % 5],    kRoundings[i / 3 % 2],     kPowersOfTwo[(i + i / 5) % 3]};
    if (!possible(c)) c.march = "bayes_e";
    for (const std::string& value : c.values()) seen.insert(value);
    seen.insert(c.type + c.fake_quant);
    check_combination(c, net, data);
  }
  CHECK(seen.size() == 3 + 8 + 3 + 2 + 5 + 2 + 3 + 9);
}

TEST_SUITE("slow") {
  TEST_CASE("every combination trains, validates and goes on from a file") {
    const test::OneThread one;
    const auto data = dataset();
    const Net net = float_network(data);
    const auto all = all_combinations();
    CHECK(all.size() == 3 * 8 * 2 * (3 + 3 + 2));
    // Each value of what is combined with each of the arithmetics, and each arithmetic.
    std::set<std::string> pairs, arithmetics;
    for (const Combination& combination : all) {
      const auto values = combination.values();
      for (size_t i = 0; i < 4; ++i)
        for (size_t j = 4; j < 7; ++j) pairs.insert(values[i] + values[j]);
      arithmetics.insert(values[4] + values[5] + values[6]);
    }
    CHECK(pairs.size() == (3 + 8 + 3 + 2) * (5 + 2 + 3) - 2);  // int16 on two marches
    CHECK(arithmetics.size() == 5 * 2 * 3);
    for (const Combination& combination : all) check_combination(combination, net, data);
  }
}
