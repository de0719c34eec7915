#include "../../quant/march.h"

#include <cmath>
#include <limits>
#include <thread>

#include "../support.h"

using namespace sinter;
using namespace sinter::quant;

TEST_CASE("scales on a grid of powers of two are the next that is not below") {
  const Arithmetic march = March::bernoulli;
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
  const Arithmetic march = March::bernoulli;
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
  Arithmetic march = March::bernoulli;
  march.min_scale_exponent = -3;
  march.max_scale_exponent = 4;
  CHECK(march.on_grid(100) == 8);
  CHECK(march.on_grid(3) == 4);
  CHECK(march.on_grid(0.001f) == 0.0625f);
  CHECK(march.clips(8.5f));
  CHECK_FALSE(march.clips(8));
}

TEST_CASE("other marches take any scale") {
  for (const March* march : {&March::bernoulli2, &March::bayes, &March::bayes_e, &March::nash})
    for (const float scale : {0x1p-23f, 0.3f, 7.0f, 1e20f}) {
      CHECK(Arithmetic(*march).on_grid(scale) == scale);
      CHECK_FALSE(Arithmetic(*march).clips(scale));
    }
}

TEST_CASE("powers of two can be chosen on any march, of activations or of all scales, without its limits") {
  for (const March* march : {&March::bernoulli2, &March::bayes, &March::nash}) {
    const Arithmetic all(*march, {}, PowerOfTwo::all), activations(*march, {}, PowerOfTwo::activations);
    for (const bool of_weights : {false, true}) {
      CHECK(all.on_grid(0.3f, of_weights) == 0.5f);
      CHECK(all.on_grid(3, of_weights) == 4);
      CHECK(all.on_grid(0x1p-23f, of_weights) == 0x1p-23f);
      CHECK(all.on_grid(0x1p100f, of_weights) == 0x1p100f);
      CHECK(activations.on_grid(0.3f, of_weights) == (of_weights ? 0.3f : 0.5f));
    }
    CHECK_FALSE(all.clips(3));
  }
  CHECK(Arithmetic(March::bernoulli, {}, PowerOfTwo::all).on_grid(3) == 0.5f);  // its own limit
}

TEST_CASE("roundings and powers of two are chosen by name") {
  CHECK(rounding_named("half_to_even") == Rounding::half_to_even);
  CHECK(rounding_named("bpu_round") == Rounding::half_up);
  CHECK_ERROR(rounding_named("half_up"), "rounding 'half_up' is unknown, expected one of: half_to_even, bpu_round");
  for (const char* name : {"none", "activations", "all"}) CHECK(to_string(power_of_two_named(name)) == name);
  CHECK_ERROR(power_of_two_named("weights"),
              "power_of_two 'weights' is unknown, expected one of: none, activations, all");
}

TEST_CASE("a scale has to be positive and finite") {
  for (const Arithmetic& march : {Arithmetic(March::bayes), Arithmetic(March::bernoulli)}) {
    CHECK_ERROR(march.on_grid(0), "march " + march.name + ": scale is 0, expected positive and finite");
    CHECK_ERROR(march.on_grid(-1), "scale is -1");
    CHECK_ERROR(march.on_grid(INFINITY), "scale is inf");
    CHECK_ERROR(march.on_grid(NAN), "scale is nan");
  }
}

TEST_CASE("marches are found by name") {
  for (const char* name : {"bernoulli", "bernoulli2", "bayes", "bayes_e", "nash"})
    CHECK(March::named(name).name == name);
  CHECK(March::named("bernoulli2") == March::bernoulli2);
  CHECK_ERROR(March::named("bernouli"),
              "march: 'bernouli' is unknown, expected one of: bernoulli, bernoulli2, bayes, bayes_e, nash");
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
  CHECK_ERROR(Options{.march = "bays"},
              "march: 'bays' is unknown, expected one of: bernoulli, bernoulli2, bayes, bayes_e, nash");
}

TEST_CASE("the description tells apart what differs") {
  CHECK(describe(March::bayes) ==
        "bayes (scales float32; two_stage (max_pre=17, shifted_sums=true, rounds=true); resizing by 16 bits; int16 "
        "activations, kernels on them to 256)");
  CHECK(describe(March::bernoulli2) ==
        "bernoulli2 (scales float32; two_stage (max_pre=31, shifted_sums=false, rounds=true); resizing by 8 bits; no "
        "differences)");
  CHECK(describe(March::bernoulli) ==
        "bernoulli (scales 2^-k, k in 1..14; shift (multiplier_bits=15); resizing by 8 bits)");
  CHECK(describe(Arithmetic(March::nash, Rounding::half_up, PowerOfTwo::activations)) ==
        "nash (scales float32; single (multiplier_bits=15, max_shift=46); resizing by 16 bits; int16 activations, "
        "kernels "
        "on them to 256), rounding bpu_round, powers of two as scales of activations");
  March floor = March::bayes;
  floor.datapath = make_datapath("two_stage", std::vector<Field>{{"rounds", false}});
  CHECK_FALSE(floor == March::bayes);
  CHECK(describe(floor) != describe(March::bayes));
  CHECK_FALSE(Arithmetic(March::bayes) == Arithmetic(March::bayes, Rounding::half_up));
  CHECK_FALSE(Arithmetic(March::bayes) == Arithmetic(March::bayes, {}, PowerOfTwo::all));
}

TEST_CASE("the default march is bayes, and set per thread") {
  CHECK(default_march() == March::bayes);
  set_march(March::bernoulli);
  CHECK(default_march() == March::bernoulli);
  std::thread([] { CHECK(default_march() == March::bayes); }).join();
  set_march("nash");
  CHECK(default_march() == March::nash);
  CHECK_ERROR(set_march("nach"), "march: 'nach' is unknown, expected one of: bernoulli");
  set_march(std::string("bernoulli"));
  set_march(default_march());  // of itself
  CHECK(default_march() == March::bernoulli);
  set_march(March::bayes);
  CHECK(default_march() == March::bayes);
}
