#include "../../quant/march.h"

#include <cmath>
#include <limits>
#include <thread>

#include "../support.h"

using namespace sinter;
using namespace sinter::quant;

TEST_CASE("scales on a grid of powers of two are the next that is not below") {
  const March& march = March::bernoulli2;
  for (int k = 1; k <= 14; ++k) {
    const float power = std::ldexp(1.0f, -k);
    CAPTURE(k);
    CHECK(march.on_grid(power) == power);
    CHECK(march.on_grid(std::nextafter(power, 0.0f)) == power);
    CHECK(march.on_grid(power * 0.75f) == power);
    CHECK(march.on_grid(std::nextafter(power / 2, 1.0f)) == power);
    CHECK(march.on_grid(std::nextafter(power, 1.0f)) == std::fmin(2 * power, 0.5f));
    CHECK_FALSE(march.clips(power));
  }
}

TEST_CASE("the ends of a grid of powers of two") {
  const March& march = March::bernoulli2;
  CHECK(march.on_grid(0x1p-15f) == 0x1p-14f);
  CHECK(march.on_grid(0x1p-23f) == 0x1p-14f);
  CHECK(march.on_grid(std::numeric_limits<float>::denorm_min()) == 0x1p-14f);
  CHECK(march.on_grid(0.50001f) == 0.5f);
  CHECK(march.on_grid(1e30f) == 0.5f);
  CHECK(march.clips(std::nextafter(0.5f, 1.0f)));
  CHECK(march.clips(1e30f));
  CHECK_FALSE(march.clips(0.5f));
  CHECK_FALSE(march.clips(1e-9f));  // raised, nothing saturates
}

TEST_CASE("the grid's ends are values of the march") {
  March march = March::bernoulli2;
  march.min_scale_exponent = -3;
  march.max_scale_exponent = 4;
  CHECK(march.on_grid(100) == 8);
  CHECK(march.on_grid(3) == 4);
  CHECK(march.on_grid(0.001f) == 0.0625f);
  CHECK(march.clips(8.5f));
  CHECK_FALSE(march.clips(8));
}

TEST_CASE("other marches take any scale") {
  for (const March* march : {&March::bayes, &March::bayes_e, &March::nash}) {
    for (const float scale : {0x1p-23f, 0.3f, 7.0f, 1e20f}) {
      CHECK(march->on_grid(scale) == scale);
      CHECK_FALSE(march->clips(scale));
    }
    CHECK(march->rounding == Rounding::half_to_even);
  }
  CHECK(March::bernoulli2.rounding == Rounding::half_up);
}

TEST_CASE("a scale has to be positive and finite") {
  for (const March* march : {&March::bayes, &March::bernoulli2}) {
    CHECK_ERROR(march->on_grid(0), "march " + march->name + ": scale is 0, expected positive and finite");
    CHECK_ERROR(march->on_grid(-1), "scale is -1");
    CHECK_ERROR(march->on_grid(INFINITY), "scale is inf");
    CHECK_ERROR(march->on_grid(NAN), "scale is nan");
  }
}

TEST_CASE("marches are found by name") {
  for (const char* name : {"bernoulli2", "bayes", "bayes_e", "nash"}) CHECK(March::named(name).name == name);
  CHECK(March::named("bernoulli2") == March::bernoulli2);
  CHECK_ERROR(March::named("bernouli"), "march: 'bernouli' is unknown, expected bernoulli2, bayes, bayes_e or nash");
}

TEST_CASE("options take a march or its name") {
  struct Options {
    MarchChoice march{};
    int other = 0;
  };
  CHECK_FALSE(Options{}.march.has_value());
  CHECK_FALSE(Options{.march = {}}.march.has_value());
  CHECK_FALSE(Options{.march = std::nullopt}.march.has_value());
  CHECK(*Options{.march = "bernoulli2"}.march == March::bernoulli2);
  CHECK(*Options{.march = std::string("nash")}.march == March::nash);
  CHECK(*Options{.march = March::bayes_e}.march == March::bayes_e);
  CHECK(*Options{.march = std::optional<March>(March::bayes)}.march == March::bayes);
  Options options;
  options.march = "bayes";
  CHECK(options.march->name == "bayes");
  CHECK_ERROR(Options{.march = "bays"}, "march: 'bays' is unknown, expected bernoulli2, bayes, bayes_e or nash");
}

TEST_CASE("the description tells apart what differs") {
  CHECK(describe(March::bayes) ==
        "bayes (scales float32; multipliers of 15 bits, shifts to 46; rounding half to even; "
        "int16 activations, kernels on them to 256)");
  CHECK(describe(March::bernoulli2) ==
        "bernoulli2 (scales 2^-k, k in 1..14; multipliers of 15 bits, shifts to 46; rounding half up)");
  March other = March::bayes;
  other.rounding = Rounding::half_up;
  CHECK(describe(other) != describe(March::bayes));
}

TEST_CASE("the default march is bayes, and set per thread") {
  CHECK(default_march() == March::bayes);
  set_march(March::bernoulli2);
  CHECK(default_march() == March::bernoulli2);
  std::thread([] { CHECK(default_march() == March::bayes); }).join();
  set_march("nash");
  CHECK(default_march() == March::nash);
  CHECK_ERROR(set_march("nach"), "march: 'nach' is unknown, expected bernoulli2");
  set_march(std::string("bernoulli2"));
  set_march(default_march());  // of itself
  CHECK(default_march() == March::bernoulli2);
  set_march(March::bayes);
  CHECK(default_march() == March::bayes);
}
