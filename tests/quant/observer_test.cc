#include "../../quant/observer.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>
#include <map>

#include "../../core/ops/arithmetic.h"
#include "../../core/parallel.h"
#include "../../core/random.h"
#include "../../quant/observer_state.h"
#include "observers/golden.h"
#include "pieces.h"

using namespace sinter;
using namespace sinter::quant;
using test::activation_quantizer;

namespace {

constexpr int64_t kMany = 3 * Samples::kBlock + 123;

// What observers need to be made: the built-in ones, and one of a user's.
const std::map<std::string, Keywords> kObservers{{"clip", {{"max", 0.9}, {"min", -2}}},
                                                 {"clip_std", {}},
                                                 {"fixed_scale", {{"scale", 0.07}}},
                                                 {"kl", {}},
                                                 {"min_max", {}},
                                                 {"mix", {}},
                                                 {"mse", {}},
                                                 {"percentile", {{"percentile", 99.0}}},
                                                 {"loudest", {{"factor", 0.5}}}};

// A user's: the range of the batch with the largest mean square, a part of it.
struct Loudest final : Observer {
  double factor = 1;
  Range observe(const Samples& batch) override {
    const Moments m = batch.moments();
    if (const double power = static_cast<double>(m.mean) * m.mean + static_cast<double>(m.std) * m.std;
        power > power_) {
      power_ = power;
      range_ = {m.min, m.max};
    }
    ++batches_;
    return {static_cast<float>(factor * range_[0]), static_cast<float>(factor * range_[1])};
  }
  double default_averaging_constant() const override { return 1; }
  void state(StateVisitor& visitor) override {
    visitor.visit("power", power_);
    visitor.visit("range", range_);
    visitor.visit("batches", batches_);
  }

 private:
  double power_ = -1;
  std::vector<double> range_{0, 0};
  int64_t batches_ = 0;
};
const Registered<Loudest> registered("loudest", {{"factor", &Loudest::factor}});

ObserverValue make(const std::string& name) { return observer_factory(name).make(kObservers.at(name)); }

Tensor batch(uint64_t seed) {
  Tensor x = test::normal({4000}, seed, 1 + static_cast<double>(seed % 3));
  x.mutable_data<float>()[seed % 4000] *= 9;
  return x;
}

bool same(const Range& a, const Range& b) { return a.min == b.min && a.max == b.max; }

}  // namespace

TEST_CASE("every built-in observer is tested here") {
  for (const std::string& name : observer_names())
    CHECK_MESSAGE((kObservers.contains(name) || name == "everything"), name);  // the latter is qconfig_test's
  for (const auto& entry : kObservers) CHECK(observer_factory(entry.first).name == entry.first);
}

TEST_CASE("scales are positive and finite, also of dead tensors and single values") {
  for (const auto& entry : kObservers) {
    const std::string& name = entry.first;
    CAPTURE(name);
    for (const Tensor& x : {batch(1), Tensor::zeros({10}), Tensor::full({1}, -3), Tensor::full({5}, 1e-42f),
                            Tensor::full({5}, 1e38f), Tensor::from({2}, {0, 1e-30f})}) {
      const ActivationQuantizer quantizer = activation_quantizer(name, entry.second);
      for (int i = 0; i < 3; ++i) {
        quantizer.observe(Samples(x));
        const float scale = quantizer.scale(March::bayes);
        CHECK(scale >= kMinScale);
        CHECK(std::isfinite(scale));
        const Range range = quantizer.range(), whole = Samples(x).range();
        CHECK(range.min >= std::min(whole.min, -2.0f));
        CHECK(range.max <= std::max(whole.max, 0.0f));
      }
    }
    const ActivationQuantizer dead = activation_quantizer(name, entry.second);
    dead.observe(Samples(Tensor::zeros({10})));
    CHECK(same(dead.range(), {}));
    CHECK(dead.scale(March::bayes) == (name == "fixed_scale" ? 0.07f : kMinScale));
  }
}

TEST_CASE("observers depend neither on threads nor on where the values come from") {
  const int before = threads();
  for (const auto& entry : kObservers) {
    const std::string& name = entry.first;
    CAPTURE(name);
    const Tensor x = test::normal({kMany}, 8);
    const float* data = x.data<float>();
    const Samples computed(kMany, [data](int64_t begin, int64_t end, float* buffer) -> const float* {
      std::copy(data + begin, data + end, buffer);
      return buffer;
    });
    set_threads(1);
    const Range one = make(name)->observe(Samples(x));
    for (const int count : {1, 2, 3}) {
      set_threads(count);
      CHECK(same(make(name)->observe(Samples(x)), one));
      CHECK(same(make(name)->observe(computed), one));
    }
  }
  set_threads(before);
}

TEST_CASE("a batch in pieces is the batch in one, for the range and for what is left to the next batch") {
  for (const auto& entry : kObservers) {
    const std::string& name = entry.first;
    CAPTURE(name);
    ObserverValue whole = make(name), parts = make(name);
    for (uint64_t seed = 0; seed < 3; ++seed) {
      const Tensor x = test::normal({kMany}, seed, 1 + static_cast<double>(seed));
      const Samples pieces(test::pieces_of(x, {0, 17, 9000, 9000, 20000, kMany}));
      CHECK(same(parts->observe(pieces), whole->observe(Samples(x))));
    }
  }
}

TEST_CASE("the order of values within a batch makes no difference") {
  const Tensor x = test::normal({kMany}, 5);
  std::vector<float> values(x.values<float>().begin(), x.values<float>().end());
  std::reverse(values.begin(), values.end());
  for (int order = 0; order < 3; ++order) {
    CAPTURE(order);
    const Tensor other = Tensor::from({kMany}, values);
    for (const auto& entry : kObservers) {
      const std::string& name = entry.first;
      CAPTURE(name);
      const Range a = make(name)->observe(Samples(x)), b = make(name)->observe(Samples(other));
      // Sums of floats only decide between candidates, but for the standard deviation.
      const double rounding = name == "clip_std" ? 1e-6 : 0;
      CHECK_CLOSE(Tensor::from({2}, {a.min, a.max}), Tensor::from({2}, {b.min, b.max}), rounding, 0);
    }
    Random random(static_cast<uint64_t>(order));
    for (size_t i = values.size(); i-- > 1;)
      std::swap(values[i], values[static_cast<size_t>(random.below(static_cast<int64_t>(i) + 1))]);
  }
}

TEST_CASE("values of twice the size have twice the range") {
  for (const auto& entry : kObservers) {
    const std::string& name = entry.first;
    if (name == "clip") continue;  // whose limits stay
    CAPTURE(name);
    const ObserverValue one = make(name), two = make(name);
    for (uint64_t i = 0; i < 4; ++i) {
      const Tensor x = batch(i);
      const Range a = one->observe(Samples(x)), b = two->observe(Samples(x * 2.0));
      CHECK(same(b, {2 * a.min, 2 * a.max}));
      CHECK(a.max > 0);
    }
  }
}

TEST_CASE("a wider batch never has a narrower range") {
  // The same values with the largest pushed outwards: what clips stays, what follows the ends grows.
  for (const auto& entry : kObservers) {
    const std::string& name = entry.first;
    if (name == "mse" || name == "mix" || name == "kl") continue;  // these weigh the ends against the rest
    CAPTURE(name);
    Tensor x = batch(4);
    const auto largest =
        std::max_element(x.values<float>().begin(), x.values<float>().end()) - x.values<float>().begin();
    Range before = make(name)->observe(Samples(x));
    for (int i = 0; i < 5; ++i) {
      x.mutable_data<float>()[largest] *= 1.5f;
      const Range range = make(name)->observe(Samples(x));
      // A clip in the middle of a bin may move by half a bin, as the bins become wider.
      const float half_bin = name == "percentile" ? x.at({largest}) / 4096 : 0.0f;
      CHECK(range.max >= before.max - half_bin);
      before = range;
    }
  }
}

TEST_CASE("NaN and infinities are errors that name tensor and observer, and change nothing") {
  for (const auto& entry : kObservers) {
    const std::string& name = entry.first;
    CAPTURE(name);
    const ActivationQuantizer quantizer = activation_quantizer(name, entry.second), other = quantizer;
    for (const ActivationQuantizer* q : {&quantizer, &other}) q->observe(Samples(batch(1)));
    for (const float odd : {NAN, INFINITY, -INFINITY}) {
      Tensor x = batch(2);
      x.mutable_data<float>()[1234] = odd;
      CHECK_ERROR(quantizer.observe(Samples(x)),
                  "x: " + name + (std::isnan(odd) ? ": the tensor holds NaN" : ": the tensor holds an infinity"));
    }
    for (const ActivationQuantizer* q : {&quantizer, &other}) q->observe(Samples(batch(3)));
    CHECK(same(quantizer.range(), other.range()));
    CHECK(quantizer.batches() == 2);
  }
}

TEST_CASE("an observer goes on from its saved state to the same bits") {
  for (const auto& entry : kObservers) {
    const std::string& name = entry.first;
    CAPTURE(name);
    const ObserverValue whole = make(name);
    for (uint64_t i = 0; i < 3; ++i) whole->observe(Samples(batch(i)));
    Archive archive("test");
    save_observer(*whole, archive, "some/");
    const Archive read = Archive::decode(archive.encode(), "test");
    const ObserverValue loaded = make(name), copy = whole;
    load_observer(*loaded, read, "some/");
    for (uint64_t i = 3; i < 6; ++i) {
      const Range expected = whole->observe(Samples(batch(i)));
      CHECK(same(loaded->observe(Samples(batch(i))), expected));
      CHECK(same(copy->observe(Samples(batch(i))), expected));
    }
    Archive a("test"), b("test");
    save_observer(*whole, a, "");
    save_observer(*loaded, b, "");
    CHECK(a.encode() == b.encode());
  }
}

TEST_CASE("a state that is missing, of another type or senseless is refused") {
  const auto refused = [](const std::string& name, const std::function<void(Archive&)>& damage,
                          const std::string& expected) {
    const ObserverValue observer = make(name);
    observer->observe(Samples(batch(1)));
    Archive archive("test");
    save_observer(*observer, archive, "o/");
    damage(archive);
    CHECK_ERROR(load_observer(*make(name), archive, "o/"), expected);
  };
  CHECK_ERROR(load_observer(*make("kl"), Archive("test"), "o/"), "o/counts");
  refused(
      "kl", [](Archive& a) { a.set("o/width", 0.0); }, "kl: the state's histogram has 512 bins of width 0");
  refused(
      "kl", [](Archive& a) { a.set("o/counts", Archive::Bytes(80)); }, "kl: the state's histogram has 10 bins");
  refused(
      "kl", [](Archive& a) { a.set("o/counts", Archive::Bytes(7)); }, "o/counts has 7 bytes, expected a multiple of 8");
  refused(
      "kl", [](Archive& a) { a.set("o/counts", Archive::Bytes(4096, std::byte{255})); }, "kl: the state's histogram");
  refused(
      "kl", [](Archive& a) { a.set("o/batches", 1.0); }, "o/batches");
  refused(
      "mix", [](Archive& a) { a.set("o/errors", Archive::Bytes(8)); }, "mix: the state has 1 candidates, expected 5");
}

TEST_CASE(
    "the first batches weigh alike, until one weighs less than the constant; without warm-up it decides at once") {
  const auto after = [](int batches, const Keywords& keywords) {
    const ActivationQuantizer quantizer = activation_quantizer("min_max", keywords);
    for (int k = 1; k <= batches; ++k) quantizer.observe(Samples(Tensor::full({3}, k == 1 ? 1 : 2)));
    return quantizer.range().max;
  };
  // Ten batches whose first is dark: a tenth of the range is the first's.
  CHECK(after(10, {}) == doctest::Approx(1.9));
  CHECK(after(10, {{"warm_up", false}}) == doctest::Approx(2 - std::pow(0.99, 9)));
  CHECK(after(100, {}) == doctest::Approx(1.99));
  CHECK(after(300, {}) == doctest::Approx(2 - 0.01 * std::pow(0.99, 200)));
  CHECK(after(6, {{"averaging_constant", 0.25}}) == doctest::Approx(2 - 0.25 * 0.75 * 0.75));
  CHECK(after(6, {{"averaging_constant", 1.0}}) == 2);
  CHECK(batch_weight(0.01, 1, false) == 1);
  CHECK(batch_weight(0.01, 2, false) == 0.01);
  CHECK(batch_weight(0.01, 50, true) == 0.02);
  CHECK(batch_weight(0.01, 101, true) == 0.01);
  CHECK(batch_weight(0, 2, true) == 0);
  CHECK_ERROR(activation_quantizer("min_max", {{"warm_up", 1}}), "warm_up is 1, expected");
}

TEST_CASE("the count of batches goes on in QAT, after loading and in a copy") {
  const ActivationQuantizer calibrated = activation_quantizer("min_max"), loaded = activation_quantizer("min_max");
  for (int k = 0; k < 4; ++k) calibrated.observe(Samples(Tensor::full({3}, 1)));
  loaded.continue_from(calibrated);
  const ActivationQuantizer copy = calibrated;
  for (const ActivationQuantizer* q : {&calibrated, &loaded, &copy}) {
    q->train(Samples(Tensor::full({3}, 6)));
    CHECK(q->range().max == 2);  // a fifth of 6, and four of 1
  }
}

TEST_CASE("zeros for long enough make a tensor dead, and its scale its input's") {
  const ActivationQuantizer quantizer = activation_quantizer("min_max");
  quantizer.observe(Samples(Tensor::full({3}, 1)));
  int batches = 0;
  for (; !quantizer.dead() && batches < 5000; ++batches) {
    CHECK(quantizer.scale(March::bayes, 0.5f) < 0.1f);
    quantizer.train(Samples(Tensor::zeros({3})));
  }
  CHECK(batches > 500);
  CHECK(batches < 1000);
  CHECK(quantizer.scale(March::bayes, 0.5f) == 0.5f);
  // What is tiny, but there, is none such.
  const ActivationQuantizer tiny = activation_quantizer("min_max");
  for (int i = 0; i < 3; ++i) tiny.observe(Samples(Tensor::full({3}, 1e-9f)));
  CHECK(tiny.range().max == 1e-9f);
  CHECK(tiny.scale(March::bayes, 0.5f) == kMinScale);
}

TEST_CASE("mse and mix take the scale of the march's grid with the least error, of that the widest range") {
  for (const std::string dtype : {"int16", "int8", "int4", "int2"})
    for (uint64_t seed = 0; seed < 40; ++seed) {
      CAPTURE(dtype);
      CAPTURE(seed);
      Tensor x = test::normal({600}, seed, 0.1 + 0.05 * static_cast<double>(seed));
      x.mutable_data<float>()[7] *= 1 + static_cast<float>(seed % 5);
      const TensorConfig config =
          *get_default_qconfig({.activation_observer = "mse", .activation_qkwargs = {{"dtype", dtype}}}).activation;
      const ActivationQuantizer quantizer("x", config, true, "", March::bernoulli);
      quantizer.observe(Samples(x));
      const Bounds type = quantizer.type();
      const auto error = [&](float scale) {
        double sum = 0;
        for (const float v : x.values<float>()) {
          const double d = v - static_cast<double>(scale) * quantize(v, 1 / scale, type, Rounding::half_up);
          sum += d * d;
        }
        return sum;
      };
      const Range whole = Samples(x).range();
      const float widest = Arithmetic(March::bernoulli).on_grid(scale_from_range(whole.min, whole.max, type));
      const float least =
          Arithmetic(March::bernoulli).on_grid(scale_from_range(0.06f * whole.min, 0.06f * whole.max, type));
      double best = error(widest);
      for (float scale = widest; scale >= least; scale /= 2) best = std::min(best, error(scale));
      const float found = quantizer.scale(March::bernoulli);
      CHECK(error(found) <= best * 1.000001);
      if (found == widest) CHECK(same(quantizer.range(), whole));
      ActivationQuantizer mixed(
          "x",
          *get_default_qconfig({.activation_observer = "mix", .activation_qkwargs = {{"dtype", dtype}}}).activation,
          true, "", March::bernoulli);
      mixed.observe(Samples(x));
      CHECK(error(mixed.scale(March::bernoulli)) <= best * 1.000001);
      // Weights, a channel of which is the same.
      const TensorConfig of_weights =
          get_default_qconfig(
              {.weight_observer = "mse", .weight_qkwargs = {{"dtype", dtype == "int16" ? "int8" : dtype}}})
              .weight;
      const WeightQuantizer weights("w", of_weights, 1);
      if (dtype != "int16")
        CHECK(weights.scales(March::bernoulli, Tensor::from({1, 600}, x.values<float>()))[0] == found);
    }
}

TEST_CASE("a constant of 0 freezes what the first batch said") {
  for (const auto& entry : kObservers) {
    const std::string& name = entry.first;
    CAPTURE(name);
    auto frozen = entry.second.values();
    frozen["averaging_constant"] = 0.0;
    const ActivationQuantizer quantizer = activation_quantizer(name, Keywords(frozen));
    quantizer.observe(Samples(batch(1)));
    const Range first = quantizer.range();
    for (uint64_t i = 2; i < 5; ++i) quantizer.observe(Samples(batch(i)));
    CHECK(same(quantizer.range(), first));
    CHECK(quantizer.batches() == 4);
  }
}

TEST_CASE("weights are observed channel by channel, each on its own") {
  const Tensor weight = test::normal({5, 3, 3, 8}, 4);
  for (const auto& entry : kObservers) {
    const std::string& name = entry.first;
    if (name == "kl") continue;
    CAPTURE(name);
    const TensorConfig config = get_default_qconfig({.weight_observer = name, .weight_qkwargs = entry.second}).weight;
    const QuantizedWeights q = WeightQuantizer("conv", config, weight.size(0))
                                   .quantize(March::bayes, weight, Tensor::zeros({weight.size(0)}), 0.01f);
    for (int64_t o = 0; o < weight.size(0); ++o) {
      const Range range = make(name)->observe(Samples::channel(weight, o));
      CHECK(q.scales[static_cast<size_t>(o)] ==
            (name == "fixed_scale" ? 0.07f : scale_from_range(range.min, range.max)));
    }
    CHECK(q.mask.defined() == (name != "min_max"));
  }
}

TEST_CASE("state that no observer leaves behind is refused") {
  const Tensor batch = test::normal({1, 100});
  const auto saved = [&](const std::string& name) {
    Archive archive("test");
    const ObserverValue observer = observer_factory(name).make({});
    observer->type = {-128, 127};
    observer->observe(Samples(batch));
    save_observer(*observer, archive, "");
    return archive;
  };
  const auto refused = [&](const std::string& name, const auto& change, const std::string& message) {
    Archive archive = saved(name);
    const ObserverValue observer = observer_factory(name).make({});
    CHECK_NOTHROW(load_observer(*observer, archive, ""));
    change(archive);
    CHECK_ERROR(load_observer(*observer, archive, ""), message);
  };
  constexpr int64_t kMost = std::numeric_limits<int64_t>::max();
  for (const std::string name : {"kl", "mix"})
    for (const int64_t batches : {kMost, int64_t{-1}})
      refused(
          name, [&](Archive& a) { a.set("batches", batches); }, text(name, ": the state is of ", batches, " batches"));
  const auto changed = [](Archive& a, const std::string& section, size_t at, auto value) {
    Archive::Bytes bytes = a.bytes(section);
    std::memcpy(bytes.data() + at * sizeof value, &value, sizeof value);
    a.set(section, bytes);
  };
  for (const int64_t count : {kMost, int64_t{1} << 53, int64_t{-1}})
    refused(
        "kl", [&](Archive& a) { changed(a, "counts", 3, count); }, text("kl: the state's histogram has a bin of "));
  for (const double number : {std::nan(""), HUGE_VAL}) {
    for (const char* section : {"min", "max", "threshold"})
      refused(
          "kl", [&](Archive& a) { a.set(section, number); }, "kl: the state's range is ");
    for (const char* section : {"mins", "maxs"})
      refused(
          "mix", [&](Archive& a) { changed(a, section, 2, number); }, "mix: the state's candidate 2 has the range");
  }
  refused(
      "mix", [&](Archive& a) { changed(a, "errors", 4, std::nan("")); }, "mix: the state's candidate 4 has");
}
