#include "../../../quant/observers/kl.h"

#include "../../../core/random.h"
#include "golden.h"

using namespace sinter;
using namespace sinter::quant;

TEST_CASE("kl agrees with a plain search in numpy") { test::check_golden_ranges("kl", 12); }

TEST_CASE("kl clips outliers, and nothing that is evenly spread") {
  std::vector<float> values(50000);
  for (size_t i = 0; i < values.size(); ++i) values[i] = static_cast<float>(i) / 50000;
  const Range even = Kl().observe(Samples(Tensor::from({50000}, values)));
  CHECK(even.min == 0);
  CHECK(even.max == values.back());
  values[7] = -3;
  const Range clipped = Kl().observe(Samples(Tensor::from({50000}, values)));
  CHECK(clipped.min > -1.1f);
  CHECK(clipped.max == values.back());
}

TEST_CASE("kl keeps what lies far from 0, as behind a sigmoid") {
  for (const double low : {0.1, 0.3, 0.5, 0.9}) {
    Random random(3);
    CHECK(Kl().observe(Samples(Tensor::uniform({20000}, random, low, 1))).max > 0.98f);
  }
}

TEST_CASE("kl keeps all of two values, whichever are how many") {
  // With the smaller one alone, and the larger ones counted there, P and Q agree as well; the most bins win.
  for (const float large : {1.5f, 4.0f, 100.0f})
    for (int ones = 1; ones < 60; ++ones)
      for (int others = 1; others < 60; ++others) {
        std::vector<float> values(static_cast<size_t>(ones), 1.0f);
        values.insert(values.end(), static_cast<size_t>(others), large);
        values.push_back(0);
        const Range range = Kl().observe(Samples(Tensor::from({ones + others + 1}, values)));
        CAPTURE(ones);
        CAPTURE(others);
        REQUIRE(range.max == large);
      }
}

TEST_CASE("between updates kl's threshold stays") {
  Kl often, seldom;
  seldom.update_interval = 3;
  bool differed = false;
  for (uint64_t batch = 0; batch < 7; ++batch) {
    Tensor x = test::normal({3000}, batch);
    for (float& v : std::span(x.mutable_data<float>(), 3000)) v = v * v * v;
    const float now = often.observe(Samples(x)).max, then = seldom.observe(Samples(x)).max;
    if (batch % 3 == 0)
      CHECK(now == then);
    else
      differed = differed || now != then;
  }
  CHECK(differed);
}

TEST_CASE("kl's memory is bounded, whatever comes after the first batch") {
  struct Sizes final : StateVisitor {
    size_t counts = 0;
    void visit(const std::string&, int64_t&) override {}
    void visit(const std::string&, double&) override {}
    void visit(const std::string&, std::vector<int64_t>& values) override { counts = values.size(); }
    void visit(const std::string&, std::vector<double>&) override {}
  } sizes;
  Kl observer;
  for (const float size : {1e-42f, 0.0f, 1e-20f, 1.0f, 2.0f, 15.9f, 1e6f, 3e38f, 1.0f}) {
    Tensor x = test::normal({2000});
    for (float& v : std::span(x.mutable_data<float>(), 2000)) v = std::clamp(v / 5, -1.0f, 1.0f) * size;
    const Range range = observer.observe(Samples(x));
    CHECK(range.min <= 0);
    CHECK(range.max > 0);
    observer.state(sizes);
    CHECK(sizes.counts >= 512);
    CHECK(sizes.counts <= 16 * 512);
  }
}

TEST_CASE("kl refuses weights, and settings out of range") {
  CHECK_ERROR(get_default_qconfig({.weight_observer = "kl"}),
              "get_default_qconfig: weight_observer kl gathers values over batches, but the scale of weights follows");
  CHECK_ERROR(test::activation_quantizer("kl", {{"bins", 127}}), "kl: bins is 127, expected 128 to 2^16");
  CHECK_ERROR(test::activation_quantizer("kl", {{"bins", 1 << 17}}), "kl: bins is 131072");
  CHECK_ERROR(test::activation_quantizer("kl", {{"update_interval", 0}}), "kl: update_interval is 0");
}
