#include "../../quant/contract.h"

#include <limits>

#include "../../core/ops/arithmetic.h"
#include "../../core/random.h"
#include "../../quant/ops/input.h"
#include "../support.h"

using namespace sinter;
using namespace sinter::quant;

namespace {

constexpr float kInf = std::numeric_limits<float>::infinity();
constexpr float kNan = std::numeric_limits<float>::quiet_NaN();

const std::vector<Bounds> kTypes{{-128, 127}, {-32768, 32767}, {-8, 7}, {-2, 1}, {0, 15}, {0, 3}};

double log_uniform(Random& random, double low, double high) { return std::exp2(low + (high - low) * random.uniform()); }

}  // namespace

TEST_CASE("a scale follows from the larger side of the range") {
  CHECK(scale_from_range(-1, 2) == 2.0f / 127.5f);
  CHECK(scale_from_range(-3, 2) == 3.0f / 127.5f);
  CHECK(scale_from_range(1, 2) == 2.0f / 127.5f);
  CHECK(scale_from_range(-3, -2) == 3.0f / 127.5f);
  CHECK(scale_from_range(-127.5f, 0) == 1.0f);
  CHECK(scale_from_range(-1, 1, {-32768, 32767}) == 1.0f / 32767.5f);
  CHECK(scale_from_range(-1, 1, {-8, 7}) == 1.0f / 7.5f);
  CHECK(scale_from_range(0, 15, {0, 15}) == 1.0f);
}

TEST_CASE("a scale is at least 2^-23") {
  CHECK(scale_from_range(0, 0) == 0x1p-23f);
  CHECK(scale_from_range(0, 1e-30f) == 0x1p-23f);
}

TEST_CASE("a scale of a range that is not finite is an error") {
  CHECK_ERROR(scale_from_range(-kInf, 1), "scale: range [-inf,1] is not finite");
  CHECK_ERROR(scale_from_range(-1, kInf), "not finite");
  CHECK_ERROR(scale_from_range(kNan, 1), "not finite");
  CHECK_ERROR(scale_from_range(-1, kNan), "not finite");
}

TEST_CASE("scales of other types agree with PyTorch's observers") {
  int cases = 0;
  for (const auto& c : test::golden("observer")) {
    if (!c.name.starts_with("type ")) continue;
    CAPTURE(c.name);
    ++cases;
    const Bounds type{static_cast<int32_t>(c.attribute<int64_t>("qmin")),
                      static_cast<int32_t>(c.attribute<int64_t>("qmax"))};
    const Range range = Samples(c.input("x")).range();
    CHECK(scale_from_range(range.min, range.max, type) == c.output("scale").item());
  }
  CHECK(cases == 4);
}

TEST_CASE("scales are positive, and grow with the range on every march") {
  Random random(12);
  for (const Arithmetic& march :
       {Arithmetic(March::bayes), Arithmetic(March::bernoulli), Arithmetic(March::nash, {}, PowerOfTwo::all)})
    for (const Bounds& type : kTypes)
      for (int i = 0; i < 3000; ++i) {
        const auto min = static_cast<float>((random.uniform() - 0.3) * log_uniform(random, -40, 30)),
                   max = min + static_cast<float>(log_uniform(random, -40, 30));
        const auto wider_min = min - static_cast<float>(log_uniform(random, -50, 20)) * static_cast<float>(i % 2),
                   wider_max = max + static_cast<float>(log_uniform(random, -50, 20)) * static_cast<float>(i % 3);
        const float scale = march.on_grid(scale_from_range(min, max, type));
        REQUIRE(scale >= kMinScale);
        REQUIRE(march.on_grid(scale_from_range(wider_min, wider_max, type)) >= scale);
      }
}

TEST_CASE("quantisation is monotone, off by half a step at most, and idempotent") {
  Random random(13);
  for (const Rounding rounding : {Rounding::half_to_even, Rounding::half_up})
    for (const Bounds& type : kTypes)
      for (int i = 0; i < 3000; ++i) {
        const auto scale = static_cast<float>(log_uniform(random, -23, 10));
        const float inverse = 1.0f / scale;
        const double reach = 1.2 * std::max(-type.low, type.high);
        auto r = (2 * random.uniform() - 1) * reach;
        if (i % 4 == 0) r = std::floor(r) + 0.5;  // a tie, perhaps
        const float x = static_cast<float>(r) * scale,
                    above = x + static_cast<float>(log_uniform(random, -20, 3)) * scale;
        const int32_t q = quantize(x, inverse, type, rounding);
        REQUIRE(q >= type.low);
        REQUIRE(q <= type.high);
        REQUIRE(quantize(above, inverse, type, rounding) >= q);
        const float y = static_cast<float>(q) * scale;
        REQUIRE(quantize(y, inverse, type, rounding) == q);
        if (r > type.low && r < type.high)
          REQUIRE(std::abs(static_cast<double>(x) - q * static_cast<double>(scale)) <=
                  0.5001 * scale + 1e-6 * reach * scale);
      }
}

TEST_CASE("quantise rounds ties as the march does") {
  constexpr Bounds kInt8;
  const std::vector<std::pair<float, std::pair<int, int>>> ties{
      {0.5f, {0, 1}},    {1.5f, {2, 2}},    {2.5f, {2, 3}},       {-0.5f, {0, 0}},
      {-1.5f, {-2, -1}}, {-2.5f, {-2, -2}}, {126.5f, {126, 127}}, {-127.5f, {-128, -127}}};
  for (const auto& tie : ties) {
    const auto& expected = tie.second;
    const float x = tie.first;
    CAPTURE(x);
    CHECK(quantize(x, 1, kInt8, Rounding::half_to_even) == expected.first);
    CHECK(quantize(x, 1, kInt8, Rounding::half_up) == expected.second);
    CHECK(quantize(x / 8, 8, kInt8, Rounding::half_to_even) == expected.first);
  }
  // floor(x + 0.5) in float32 would make 1 of this.
  CHECK(quantize(0.49999997f, 1, kInt8, Rounding::half_up) == 0);
}

TEST_CASE("quantise saturates, also infinities, and makes 0 of NaN") {
  for (const Rounding rounding : {Rounding::half_to_even, Rounding::half_up}) {
    for (const Bounds bounds :
         {Bounds{-128, 127}, Bounds{0, 127}, Bounds{0, 15}, Bounds{-32768, 32767}, Bounds{0, 0}}) {
      CHECK(quantize(kInf, 8, bounds, rounding) == bounds.high);
      CHECK(quantize(-kInf, 8, bounds, rounding) == bounds.low);
      CHECK(quantize(3e38f, 1e6f, bounds, rounding) == bounds.high);
      CHECK(quantize(-3e38f, 1e6f, bounds, rounding) == bounds.low);
      CHECK(quantize(1e10f, 1, bounds, rounding) == bounds.high);
      CHECK(quantize(kNan, 8, bounds, rounding) == 0);
    }
    CHECK(quantize(127.5f, 1, {}, rounding) == 127);
    CHECK(quantize(-128.5f, 1, {}, rounding) == -128);
  }
}

TEST_CASE("quantise multiplies with the inverse scale in float32") {
  // 0.5 / 0.33333334 * 3 by division is 1.5 - e, by multiplication with the inverse exactly a tie.
  Random random(3);
  int differ = 0;
  for (int i = 0; i < 20000; ++i) {
    const auto scale = static_cast<float>(log_uniform(random, -8, 0));
    const float x = (static_cast<float>(random.below(200) - 100) + 0.5f) * scale;
    const float inverse = 1.0f / scale;
    volatile float product = x * inverse;  // rounded to float32 whatever the compiler
    const auto expected = static_cast<int32_t>(std::nearbyint(std::fmin(std::fmax(product, -128.0f), 127.0f)));
    REQUIRE(quantize(x, inverse, {}, Rounding::half_to_even) == expected);
    differ += expected != static_cast<int32_t>(std::nearbyint(x / scale));
  }
  CHECK(differ > 0);  // so that the test can tell
}

TEST_CASE("fake quantisation and its gradient agree with PyTorch") {
  int cases = 0;
  for (const auto& c : test::golden("fake_quant")) {
    if (c.inputs[0].first != "x" || c.inputs.size() != 1) continue;
    CAPTURE(c.name);
    ++cases;
    ActivationQuantizer quantizer("x", {});
    const auto reach = static_cast<float>(c.attribute<double>("reach"));
    quantizer.observe(Samples(Tensor::from({2}, {-reach, reach})));
    const float scale = quantizer.scale(March::bayes);
    const Arithmetic bayes(March::bayes);
    const Pass pass{&bayes, false};
    std::atomic<int64_t> nans{0};
    CHECK_GOLDEN(c, ([&](const Tensor& x) {
                   Quantize in;
                   in.output = &quantizer;
                   in.pass = &pass;
                   in.nans = &nans;
                   Dequantize out;
                   out.scale = scale;
                   return call(out, call(in, x));
                 }),
                 {.rtol = 1e-7, .atol = 0});
  }
  CHECK(cases == 6);
}

TEST_CASE("no gradient passes at infinities") {
  ActivationQuantizer quantizer("x", {});
  quantizer.observe(Samples(Tensor::from({2}, {-1, 1})));
  const Arithmetic bayes(March::bayes);
  const Pass pass{&bayes, false};
  std::atomic<int64_t> nans{0};
  Quantize in;
  in.output = &quantizer;
  in.pass = &pass;
  in.nans = &nans;
  Dequantize out;
  out.scale = quantizer.scale(March::bayes);
  Tensor x = Tensor::from({4}, {kInf, -kInf, 0.5f, 1e30f});
  x.set_requires_grad(true);
  const Tensor y = call(out, call(in, x));
  CHECK(y.at({0}) == 127 * out.scale);
  CHECK(y.at({1}) == -128 * out.scale);
  y.backward(Tensor::ones({4}));
  CHECK_SAME(x.grad(), Tensor::from({4}, {0, 0, 1, 0}));
}

TEST_CASE("integers of other types agree with PyTorch, ties and minus infinity included") {
  int cases = 0;
  for (const auto& c : test::golden("fake_quant")) {
    if (c.inputs[0].first != "v") continue;
    CAPTURE(c.name);
    ++cases;
    const Bounds type{static_cast<int32_t>(c.attribute<int64_t>("qmin")),
                      static_cast<int32_t>(c.attribute<int64_t>("qmax"))};
    const auto scale = static_cast<float>(c.attribute<double>("scale"));
    Tensor y = Tensor::empty(c.input("v").shape());
    for (int64_t i = 0; i < y.elements(); ++i)
      y.mutable_data<float>()[i] =
          static_cast<float>(quantize(c.input("v").at({i}), 1.0f / scale, type, Rounding::half_to_even)) * scale;
    CHECK_SAME(y, c.output("y"));
  }
  CHECK(cases == 7);
}

TEST_CASE("activations bound an output") {
  const auto even = Rounding::half_to_even;
  CHECK(output_bounds(Activation::none, 0.1f, even) == Bounds{-128, 127});
  CHECK(output_bounds(Activation::relu, 0.1f, even) == Bounds{0, 127});
  CHECK(output_bounds(Activation::relu6, 0.1f, even) == Bounds{0, 60});
  CHECK(output_bounds(Activation::relu6, 0.01f, even) == Bounds{0, 127});
  CHECK(output_bounds(Activation::relu6, 4, even) == Bounds{0, 2});   // 1.5
  CHECK(output_bounds(Activation::relu6, 12, even) == Bounds{0, 0});  // 0.5
  CHECK(output_bounds(Activation::relu6, 12, Rounding::half_up) == Bounds{0, 1});
  CHECK(output_bounds(Activation::relu6, 0.001f, even, {-32768, 32767}) == Bounds{0, 6000});
}

TEST_CASE("a weight scale is raised until the bias fits 2^30, and no further") {
  Random random(9);
  int raised = 0;
  for (int i = 0; i < 20000; ++i) {
    const auto sx = static_cast<float>(log_uniform(random, -23, 2)),
               sw = static_cast<float>(log_uniform(random, -23, 2));
    const auto bias = static_cast<float>(log_uniform(random, -30, 12)) * (i % 2 == 0 ? 1.0f : -1.0f);
    const float scale = effective_weight_scale(March::bayes, sw, sx, bias);
    REQUIRE(std::abs(quantize_bias(bias, sx, scale)) <= (1 << 30));
    const bool fits = std::abs(static_cast<double>(bias)) <= static_cast<double>(sx) * sw * 0x1p30;
    if (fits) REQUIRE(scale == sw);
    if (fits) continue;
    ++raised;
    REQUIRE(scale > sw);
    const double below = std::nextafter(scale, 0.0f);
    REQUIRE(std::abs(static_cast<double>(bias)) > static_cast<double>(sx) * below * 0x1p30);
    const float coarse = effective_weight_scale(March::bernoulli, 0x1p-14f, 0x1p-7f, bias);
    REQUIRE(Arithmetic(March::bernoulli).on_grid(coarse, true) == coarse);
    REQUIRE(std::abs(quantize_bias(bias, 0x1p-7f, coarse)) <= (1 << 30));
  }
  CHECK(raised > 1000);
  CHECK_ERROR(effective_weight_scale(March::bayes, 1, 1, kNan), "bias is nan");
  CHECK_ERROR(effective_weight_scale(March::bayes, 1, 1, kInf), "bias is inf");
}

TEST_CASE("a bias is rounded half to even on its accumulator's grid") {
  CHECK(quantize_bias(2.5f, 1, 1) == 2);
  CHECK(quantize_bias(3.5f, 1, 1) == 4);
  CHECK(quantize_bias(-2.5f, 1, 1) == -2);
  CHECK(quantize_bias(1, 0.25f, 0.125f) == 32);
  CHECK(quantize_bias(0x1p30f, 1, 1) == 1 << 30);
  CHECK_ERROR(quantize_bias(0x1p31f, 1, 1), "expected at most 2^30");
  CHECK_ERROR(quantize_bias(1e30f, 0x1p-23f, 0x1p-23f), "expected at most 2^30");
}

TEST_CASE("a head is dequantised in double") {
  const float sx = 0.1f, sw = 0.3f;
  CHECK(dequantize(16777217, sx, sw) == static_cast<float>(16777217.0 * (double{sx} * double{sw})));
  CHECK(dequantize(-3, 0.5f, 0.25f) == -0.375f);
}
