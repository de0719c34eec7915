#include "march.h"

#include <array>
#include <cmath>
#include <tuple>

#include "../core/error.h"
#include "datapath/shift.h"
#include "datapath/single.h"
#include "datapath/two_stage.h"

namespace sinter::quant {

namespace {
const TwoStage kScaledSums{{.max_pre = 31, .shifted_sums = false}};
}

const March March::bernoulli{.name = "bernoulli",
                             .datapath = std::make_shared<const Shift>(),
                             .power_of_two_scales = true,
                             .resize_bits = 8,
                             .int16_activations = false};
const March March::bernoulli2{.name = "bernoulli2",
                              .datapath = std::make_shared<const TwoStage>(kScaledSums),
                              .resize_bits = 8,
                              .subtracts = false,
                              .int16_activations = false};
const March March::bayes{.name = "bayes", .datapath = std::make_shared<const TwoStage>()};
const March March::bayes_e{.name = "bayes_e", .datapath = std::make_shared<const TwoStage>()};
const March March::nash{.name = "nash", .datapath = std::make_shared<const Single>()};

namespace {
constexpr std::array kBuiltIn{&March::bernoulli, &March::bernoulli2, &March::bayes, &March::bayes_e, &March::nash};
}

const March& March::named(const std::string& name) {
  std::vector<std::string> names;
  for (const March* march : kBuiltIn) {
    if (march->name == name) return *march;
    names.push_back(march->name);
  }
  fail("march: '", name, "' is unknown, expected one of: ", joined(names));
}

bool March::operator==(const March& other) const {
  const auto rest = [](const March& m) {
    return std::tie(m.name, m.power_of_two_scales, m.min_scale_exponent, m.max_scale_exponent, m.resize_bits,
                    m.subtracts, m.int16_activations, m.int16_kernel);
  };
  return rest(*this) == rest(other) && *datapath == *other.datapath;
}

namespace {
// The k of the smallest 2^-k that is not below the scale, before it is limited to the grid.
int exponent_of(float scale) {
  int exponent = 0;
  const float fraction = std::frexp(scale, &exponent);  // scale = fraction * 2^exponent, fraction in [0.5, 1)
  return fraction == 0.5f ? 1 - exponent : -exponent;
}
}  // namespace

float Arithmetic::on_grid(float scale, bool of_weights) const {
  check(std::isfinite(scale) && scale > 0, "march ", name, ": scale is ", scale, ", expected positive and finite");
  const bool chosen = power_of_two == PowerOfTwo::all || (power_of_two == PowerOfTwo::activations && !of_weights);
  if (!power_of_two_scales && !chosen) return scale;
  int k = exponent_of(scale);
  if (power_of_two_scales) k = std::min(std::max(k, min_scale_exponent), max_scale_exponent);
  return std::ldexp(1.0f, -k);
}

bool Arithmetic::operator==(const Arithmetic& other) const {
  return March::operator==(other) && rounding == other.rounding && power_of_two == other.power_of_two;
}

void March::validate() const {
  const auto within = [&](const char* what, int value, int low, int high) {
    check(value >= low && value <= high, "march ", name, ": ", what, " is ", value, ", expected ", low, " to ", high);
  };
  check(datapath != nullptr, "march ", name, ": it has no datapath, expected one of: ", joined(datapath_names()));
  datapath->validate();
  within("resize_bits", resize_bits, 1, 16);
  within("min_scale_exponent", min_scale_exponent, -23, 23);
  within("max_scale_exponent", max_scale_exponent, min_scale_exponent, 23);
  check(int16_kernel >= 0, "march ", name, ": int16_kernel is ", int16_kernel, ", expected 0 or more");
}

bool Arithmetic::clips(float scale) const { return power_of_two_scales && exponent_of(scale) < min_scale_exponent; }

std::string to_string(const March& march) { return march.name; }

std::string describe(const March& march) {
  return text(
      march.name, " (scales ",
      march.power_of_two_scales ? text("2^-k, k in ", march.min_scale_exponent, "..", march.max_scale_exponent)
                                : std::string("float32"),
      "; ", *march.datapath, "; resizing by ", march.resize_bits, " bits", march.subtracts ? "" : "; no differences",
      march.int16_activations ? text("; int16 activations, kernels on them to ", march.int16_kernel) : std::string(),
      ")");
}

namespace {
std::string chosen_scales(const Arithmetic& arithmetic) {
  if (arithmetic.power_of_two == PowerOfTwo::none) return "";
  return text(", powers of two as scales of ", arithmetic.power_of_two == PowerOfTwo::all ? "all" : "activations");
}
}  // namespace

std::string describe(const Arithmetic& arithmetic) {
  return text(describe(static_cast<const March&>(arithmetic)), ", rounding ", arithmetic.rounding,
              chosen_scales(arithmetic));
}

std::string brief(const Arithmetic& arithmetic) {
  return text(arithmetic.name, arithmetic.rounding == Rounding{} ? "" : text(", rounding ", arithmetic.rounding),
              chosen_scales(arithmetic));
}

namespace {

constexpr std::array kRoundings{"half_to_even", "bpu_round"};
constexpr std::array kPowersOfTwo{"none", "activations", "all"};

template <class E, size_t N>
E named(const char* what, const std::array<const char*, N>& names, const std::string& name) {
  for (size_t i = 0; i < N; ++i)
    if (names[i] == name) return static_cast<E>(i);
  fail(what, " '", name,
       "' is unknown, expected one of: ", joined(std::vector<std::string>(names.begin(), names.end())));
}

}  // namespace

Rounding rounding_named(const std::string& name) { return named<Rounding>("rounding", kRoundings, name); }
PowerOfTwo power_of_two_named(const std::string& name) { return named<PowerOfTwo>("power_of_two", kPowersOfTwo, name); }
std::string to_string(Rounding rounding) { return kRoundings[static_cast<size_t>(rounding)]; }
std::string to_string(PowerOfTwo scales) { return kPowersOfTwo[static_cast<size_t>(scales)]; }

namespace {
// Starts empty: the built-in marches of another file may not exist yet while this one's statics are made.
thread_local const March* chosen = nullptr;
thread_local March own;
}  // namespace

void set_march(const March& march) {
  own = march;
  chosen = &own;
}

void set_march(const std::string& name) { set_march(March::named(name)); }

const March& default_march() { return chosen == nullptr ? March::bayes : *chosen; }

}  // namespace sinter::quant
