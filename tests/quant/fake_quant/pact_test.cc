#include "../../../quant/fake_quant/pact.h"

#include <cmath>

#include "through.h"

using namespace sinter;
using namespace sinter::quant;
using test::fake_quant_config;
using test::fake_quantized;

namespace {

// Equations 1 to 3 of 1805.06085, and their signed form: y = round(clamp(x, low, alpha) / s) s with s = alpha / qmax
// and low 0 or -alpha; dx = 1 between the ends, dalpha = 1 from alpha on and -1 up to -alpha.
struct Plain {
  std::vector<float> y, dx;
  double dalpha = 0;

  Plain(const float* x, const float* dy, int64_t count, double alpha, double qmax, bool negative) {
    const double low = negative ? -alpha : 0.0, s = alpha / qmax;
    for (int64_t i = 0; i < count; ++i) {
      const double v = x[i], clipped = v < low ? low : v > alpha ? alpha : v;
      y.push_back(static_cast<float>(std::nearbyint(clipped / s) * s));
      dx.push_back(v > low && v < alpha ? dy[i] : 0);
      dalpha += v >= alpha ? dy[i] : negative && v <= low ? -dy[i] : 0.0f;
    }
  }
};

// Values within and beyond +-reach, and a hair from the ends on both sides of each.
Tensor spread(const Shape& shape, double reach, uint64_t seed) {
  Tensor x = test::normal(shape, seed, 0.8 * reach);
  const double ends[] = {1 - 1e-6, 1 + 1e-6, 40, -1 + 1e-6, -1 - 1e-6, -40, 0};
  for (size_t i = 0; i < std::size(ends); ++i) x.mutable_data<float>()[i] = static_cast<float>(ends[i] * reach);
  return x;
}

void set(const Parameter& parameter, const Tensor& value) {
  Tensor number = parameter.tensor();
  number.copy_from(value);
}

}  // namespace

TEST_CASE("pact on activations is a clip at alpha and its integers, with alpha's gradient") {
  struct Type {
    std::string name;
    bool negative;
    double qmax;
  };
  for (const Type& type :
       {Type{"int8", true, 127}, {"int4", true, 7}, {"int4", false, 15}, {"int2", true, 1}, {"int2", false, 3}})
    for (const float alpha : {1.0f, 0.71f, 6.0f}) {
      CAPTURE(type.name);
      CAPTURE(type.negative);
      CAPTURE(alpha);
      const ActivationQuantizer quantizer("x", fake_quant_config("pact", type.name), type.negative);
      set(quantizer.learned, Tensor::full({1}, alpha));
      CHECK(quantizer.bounds() ==
            Bounds{type.negative ? -static_cast<int>(type.qmax) : 0, static_cast<int>(type.qmax)});
      CHECK(quantizer.scale(March::bayes) == alpha / static_cast<float>(type.qmax));
      const Tensor x = spread({5, 4, 3, 2}, alpha, 7), dy = test::normal({5, 4, 3, 2}, 8);
      const auto found = fake_quantized(quantizer, x, dy);
      const Plain expected(x.data<float>(), dy.data<float>(), x.elements(), alpha, type.qmax, type.negative);
      CHECK_CLOSE(found.y, Tensor::from(x.shape(), expected.y), 1e-6, 1e-6);
      CHECK_SAME(found.dx, Tensor::from(x.shape(), expected.dx));
      CHECK(found.dlearned.at({0}) == doctest::Approx(expected.dalpha).epsilon(1e-5));
    }
}

TEST_CASE("pact on weights has an alpha a channel") {
  const std::vector<float> alphas{0.5f, 1.0f, 2.5f};
  for (const auto& [dtype, qmax] : std::vector<std::pair<std::string, double>>{{"int8", 127}, {"int4", 7}}) {
    const WeightQuantizer quantizer("w", fake_quant_config("pact", dtype), 3);
    set(quantizer.learned, Tensor::from({3}, alphas));
    const Tensor w = spread({3, 3, 3, 4}, 1, 9), dy = test::normal({3, 3, 3, 4}, 10);
    const auto found = fake_quantized(quantizer, w, dy);
    for (int64_t o = 0; o < 3; ++o) {
      const Plain expected(w.data<float>() + 36 * o, dy.data<float>() + 36 * o, 36, alphas[static_cast<size_t>(o)],
                           qmax, true);
      CHECK_CLOSE(Tensor::from({36}, found.y.values<float>().subspan(static_cast<size_t>(36 * o), 36)),
                  Tensor::from({36}, expected.y), 1e-6, 1e-6);
      CHECK_SAME(Tensor::from({36}, found.dx.values<float>().subspan(static_cast<size_t>(36 * o), 36)),
                 Tensor::from({36}, expected.dx));
      CHECK(found.dlearned.at({o}) == doctest::Approx(expected.dalpha).epsilon(1e-5));
    }
  }
}

TEST_CASE("alpha starts at 6 or the keyword, at the calibrated clip, and for weights at their maximum") {
  const auto pact = fake_quant_config("pact", "int4").make_fake_quant();
  CHECK(pact->start({.mean_abs = 1, .max_abs = 3}) == 6);
  CHECK(fake_quant_config("pact", "int4", {{"alpha", 2.5}}).make_fake_quant()->start({}) == 2.5);
  CHECK(pact->start({.max_abs = 3, .scale = 0.1f, .reach = 2.0f}) == 2);
  CHECK(pact->start({.max_abs = 3, .scale = 0.1f, .reach = 2.0f, .weights = true}) == 3);
  CHECK(pact->start({.reach = 0.0f}) == kMinScale);
  CHECK(pact->start({.weights = true}) == kMinScale);

  const ActivationQuantizer fresh("x", fake_quant_config("pact", "int8"));
  fresh.train(Samples(Tensor::full({3}, 40)));
  CHECK(fresh.learned.tensor().at({0}) == 6);
  const ActivationQuantizer calibrated("x", fake_quant_config("pact", "int8"));
  calibrated.observe(Samples(Tensor::from({2}, {-2, 1.5f})));
  CHECK(calibrated.scale(March::bayes) == 2 / 127.0f);
  calibrated.train(Samples(Tensor::full({3}, 40)));
  CHECK(calibrated.learned.tensor().at({0}) == 2);
  const WeightQuantizer weights("w", fake_quant_config("pact", "int4"), 2);
  weights.train(Tensor::from({2, 2}, {-2, 1.5f, 0, 0.25f}));
  CHECK_SAME(weights.learned.tensor(), Tensor::from({2}, {2, 0.25f}));
  // The clip of a fixed scale is its largest integer's value.
  const auto fixed = get_default_qconfig(
      {.activation_fake_quant = "pact", .activation_observer = "fixed_scale", .activation_qkwargs = {{"scale", 0.5}}});
  CHECK(ActivationQuantizer("x", *fixed.activation).scale(March::bayes) == 0.5f);
}

TEST_CASE("an alpha that is negative is used as the smallest there is, and no step goes below") {
  const ActivationQuantizer quantizer("x", fake_quant_config("pact", "int8"));
  set(quantizer.learned, Tensor::full({1}, -5));
  CHECK(quantizer.scale(March::bayes) == kMinScale);
  CHECK(quantizer.learned.minimum() == kMinScale);
}

TEST_CASE("pact's settings") {
  CHECK_ERROR(fake_quant_config("pact", "int8", {{"alpha", 0}}), "pact: keyword 'alpha' is 0, expected at least 2^-23");
  CHECK_ERROR(fake_quant_config("pact", "int8", {{"alpha", INFINITY}}), "pact: keyword 'alpha' is inf");
  CHECK_ERROR(fake_quant_config("pact", "int8", {{"use_grad_scaling", true}}),
              "keyword 'use_grad_scaling' is unknown to pact and observer min_max, expected one of: "
              "averaging_constant, dtype, alpha");
  const TensorConfig config = fake_quant_config("pact", "int8");
  CHECK(config.averaging_constant == 0.01);
  CHECK_FALSE(config.make_fake_quant()->weight_decay().has_value());  // the optimiser's, as the paper's L2 penalty
  CHECK(config.make_fake_quant()->learned() == "alpha");
}
