#include "march.h"

#include <cmath>

#include "../core/error.h"

namespace sinter::quant {

const March March::bernoulli2{
    .name = "bernoulli2", .power_of_two_scales = true, .rounding = Rounding::half_up, .int16_activations = false};
const March March::bayes{.name = "bayes"};
const March March::bayes_e{.name = "bayes_e"};
const March March::nash{.name = "nash"};

const March& March::named(const std::string& name) {
  for (const March* march : {&bernoulli2, &bayes, &bayes_e, &nash})
    if (march->name == name) return *march;
  fail("march: '", name, "' is unknown, expected bernoulli2, bayes, bayes_e or nash");
}

namespace {
// The k of the smallest 2^-k that is not below the scale, before it is limited to the grid.
int exponent_of(float scale) {
  int exponent = 0;
  const float fraction = std::frexp(scale, &exponent);  // scale = fraction * 2^exponent, fraction in [0.5, 1)
  return fraction == 0.5f ? 1 - exponent : -exponent;
}
}  // namespace

float March::on_grid(float scale) const {
  check(std::isfinite(scale) && scale > 0, "march ", name, ": scale is ", scale, ", expected positive and finite");
  if (!power_of_two_scales) return scale;
  const int k = std::min(std::max(exponent_of(scale), min_scale_exponent), max_scale_exponent);
  return std::ldexp(1.0f, -k);
}

void March::validate() const {
  const auto within = [&](const char* what, int value, int low, int high) {
    check(value >= low && value <= high, "march ", name, ": ", what, " is ", value, ", expected ", low, " to ", high);
  };
  within("multiplier_bits", multiplier_bits, 1, 21);  // accumulators times them, and a residual, are exact in double
  within("max_shift", max_shift, 0, 46);
  within("min_scale_exponent", min_scale_exponent, -23, 23);
  within("max_scale_exponent", max_scale_exponent, min_scale_exponent, 23);
  check(int16_kernel >= 0, "march ", name, ": int16_kernel is ", int16_kernel, ", expected 0 or more");
}

bool March::clips(float scale) const { return power_of_two_scales && exponent_of(scale) < min_scale_exponent; }

std::string to_string(const March& march) { return march.name; }

std::string describe(const March& march) {
  return text(
      march.name, " (scales ",
      march.power_of_two_scales ? text("2^-k, k in ", march.min_scale_exponent, "..", march.max_scale_exponent)
                                : std::string("float32"),
      "; multipliers of ", march.multiplier_bits, " bits, shifts to ", march.max_shift, "; rounding ",
      march.rounding == Rounding::half_to_even ? "half to even" : "half up",
      march.int16_activations ? text("; int16 activations, kernels on them to ", march.int16_kernel) : std::string(),
      ")");
}

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
