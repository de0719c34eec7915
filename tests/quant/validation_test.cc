// VALIDATION, bit for bit: against the slow interpreter of interpreter.h, and against itself on other instruction sets
// and threads (meson.build runs the suite "exact" with several ONEDNN_MAX_CPU_ISA).

#include <zlib.h>

#include "../../core/parallel.h"
#include "interpreter.h"
#include "networks.h"

using namespace sinter;
using namespace sinter::quant;
using test::images;
using test::set_ranges;

namespace {

PreparedModel prepared(const nn::Module& model, const PrepareOptions& options, float reach = 1) {
  PreparedModel result = prepare_qat(model, Tensor::zeros({1, 8, 8, 3}), options);
  set_ranges(result, reach);
  set_fake_quantize(result, FakeQuantState::validation);
  return result;
}

std::vector<int64_t> integers(const Tensor& t) {
  if (t.dtype() == DType::int32) return {t.data<int32_t>(), t.data<int32_t>() + t.elements()};
  return {t.data<int8_t>(), t.data<int8_t>() + t.elements()};
}

// `crc` is of all integers in the order of the graph: committed numbers, so that every machine is held to the same.
struct Summary {
  size_t nodes = 0;
  int64_t wrong = 0, saturated = 0, total = 0;
  uLong crc = 0;
};

Summary compare(const PreparedModel& model, const Tensor& x) {
  auto expected = test::Interpreter(model).run(x);
  Summary s;
  model.inspect(x, [&](const std::string& node, const Tensor& found) {
    CAPTURE(node);
    REQUIRE(expected.count(node) == 1);
    const auto& value = expected[node];
    const std::vector<int64_t> q = integers(found);
    REQUIRE(q.size() == value.q.size());
    for (size_t i = 0; i < q.size(); ++i) {
      s.wrong += q[i] != value.q[i];
      s.saturated += q[i] == value.low || q[i] == value.high;
      const auto number = static_cast<int32_t>(q[i]);
      s.crc = crc32(s.crc, reinterpret_cast<const Bytef*>(&number), sizeof number);
    }
    CHECK(s.wrong == 0);
    s.total += static_cast<int64_t>(q.size());
    ++s.nodes;
  });
  CHECK(s.nodes == expected.size());
  CHECK(s.saturated > s.total / 50);
  CHECK(s.saturated < s.total * 3 / 4);
  return s;
}

}  // namespace

TEST_SUITE("exact") {
  // Every march, rounding and grid of scales, with the committed number of all integers.
  struct Expected {
    const char *march, *rounding, *power_of_two;
    uLong small, every;
  };
  const std::vector<Expected> kExpected{
      {"bernoulli", "half_to_even", "none", 3077037050, 4167140510},
      {"bernoulli2", "half_to_even", "none", 4292565404, 1891574032},
      {"bayes", "half_to_even", "none", 4292565404, 198077240},
      {"bayes_e", "half_to_even", "none", 4292565404, 198077240},
      {"nash", "half_to_even", "none", 1769787614, 3008669819},
      {"bernoulli", "bpu_round", "none", 3077037050, 4167140510},
      {"bernoulli2", "half_to_even", "activations", 118203054, 219936618},
      {"bernoulli2", "bpu_round", "all", 19687791, 3381900515},
      {"bayes", "bpu_round", "activations", 3557414624, 3743088733},
      {"bayes", "half_to_even", "all", 19687791, 4167140510},
      {"nash", "bpu_round", "all", 1557936822, 770239258},
  };

  TEST_CASE("every integer of a residual network is the interpreter's, on every march") {
    const Tensor x = images({3, 8, 8, 3}, 2, 1.2);
    for (const Expected& e : kExpected) {
      CAPTURE(std::string(e.march));
      CAPTURE(std::string(e.rounding));
      CAPTURE(std::string(e.power_of_two));
      const PrepareOptions options{.march = e.march, .rounding = e.rounding, .power_of_two = e.power_of_two};
      CHECK(compare(prepared(test::small_net(), options), x).crc == e.small);
    }
  }

  TEST_CASE("every integer of every kind of layer is the interpreter's") {
    const auto model = test::randomized(test::EveryLayer{}, 3);
    const Tensor x = images({2, 8, 8, 3}, 4, 1.2);
    for (const Expected& e : kExpected) {
      CAPTURE(std::string(e.march));
      CAPTURE(std::string(e.rounding));
      CAPTURE(std::string(e.power_of_two));
      const PrepareOptions options{.march = e.march, .rounding = e.rounding, .power_of_two = e.power_of_two};
      CHECK(compare(prepared(model, options, 2), x).crc == e.every);
    }
    // Scales above 6 / 127: the upper bound of ReLU6 matters.
    auto large = test::randomized(test::EveryLayer{}, 5);
    large.stem.bias.tensor().copy_from(Tensor::full({8}, 5));
    CHECK(compare(prepared(large, {.march = March::bayes}, 8), x).crc == 1713481005);
  }

  TEST_CASE("dead channels with a bias keep their accumulators exact near 2^30") {
    auto model = test::small_net(6);
    // No weights and a bias: its scale is raised until the bias is 2^30. Biases beside small weights come close.
    float* bias = model.head.bias.tensor().mutable_data<float>();
    float* weight = model.head.weight.tensor().mutable_data<float>();
    for (int64_t i = 0; i < model.head.weight.tensor().elements(); ++i) weight[i] *= i < 32 ? 0.0f : 3e-7f;
    bias[0] = 0.7f;
    bias[1] = -123.456f;
    bias[2] = 1.5f;
    bias[3] = -2.3f;
    for (const March* march : {&March::bayes, &March::bernoulli}) {
      const PreparedModel q = prepared(model, {.march = *march});
      const Tensor x = images({3, 8, 8, 3}, 2);
      auto expected = test::Interpreter(q).run(x);
      int64_t largest = 0;
      q.inspect(x, [&](const std::string& node, const Tensor& found) {
        if (node != "head") return;
        CHECK(integers(found) == expected["head"].q);
        for (const int64_t v : integers(found)) largest = std::max(largest, std::abs(v));
      });
      CHECK(largest > (1 << 24));
    }
  }

  TEST_CASE("validation does not depend on threads") {
    const PreparedModel model = prepared(test::small_net(), {.march = March::bayes});
    const Tensor x = images({16, 8, 8, 3}, 7);
    const NoGrad no_grad;
    const int before = threads();
    set_threads(1);
    const Tensor one = model(x);
    for (const int count : {2, 3}) {
      set_threads(count);
      CHECK_SAME(model(x), one);
    }
    set_threads(before);
  }
}

TEST_CASE("validation gives integers times scales, and accumulators of the head") {
  const PreparedModel model = prepared(test::small_net(), {.march = March::bayes});
  const Tensor x = images({2, 8, 8, 3}, 2);
  const NoGrad no_grad;
  Tensor y = model(x), accumulators;
  model.inspect(x, [&](const std::string& node, const Tensor& q) {
    if (node == "head") accumulators = q;
  });
  const auto mean = static_cast<size_t>(model.graph().find("mean"));
  const auto head = static_cast<size_t>(model.graph().find("head"));
  CHECK(model.is_head(head));
  CHECK_FALSE(model.is_head(mean));
  CHECK(model.node_quantizer(head) == nullptr);
  const double sx = model.node_quantizer(mean)->scale(model.march());
  const Tensor& weight = model.graph().parameters[static_cast<size_t>(model.graph().nodes[head].inputs[1].index)].value;
  for (int64_t i = 0; i < y.elements(); ++i) {
    const Range range = Samples::channel(weight, i % 5).range();
    const double sw = std::max(-range.min, range.max) / 127.5f;
    CHECK(y.data<float>()[i] == static_cast<float>(accumulators.data<int32_t>()[i] * (sx * sw)));
  }
}

TEST_CASE("images of a batch do not see each other") {
  const PreparedModel model = prepared(test::small_net(), {.march = March::bayes});
  const Tensor x = images({4, 8, 8, 3}, 2);
  const NoGrad no_grad;
  const Tensor all = model(x);
  for (int64_t n = 0; n < 4; ++n) {
    const Tensor one = Tensor::from({1, 8, 8, 3}, x.values<float>().subspan(static_cast<size_t>(n * 192), 192));
    CHECK_SAME(model(one), Tensor::from({1, 5}, all.values<float>().subspan(static_cast<size_t>(n * 5), 5)));
  }
}
