#pragma once

#include <optional>
#include <string>

#include "datapath/datapath.h"

namespace sinter::quant {

/// The numeric half of a BPU generation, a value: its datapath, the grid of its scales, what int16 may do. Machine
/// files (bpu/) read into the same value.
struct March {
  std::string name;
  DatapathValue datapath = make_datapath("single");
  bool power_of_two_scales = false;
  int min_scale_exponent = 1;  ///< with power_of_two_scales: scales are 2^-k with k in min..max
  int max_scale_exponent = 14;
  int resize_bits = 16;   ///< of the weights, along each axis, with which images are resized
  bool subtracts = true;  ///< whether it has a difference of two tensors; else that is a sum of the negated one
  bool int16_activations = true;
  int64_t int16_kernel = 256;  ///< largest height * width * input channels of a convolution on int16 activations

  static const March bernoulli, bernoulli2, bayes, bayes_e, nash;
  /// The built-in march of that name. Throws Error listing the known ones.
  static const March& named(const std::string& name);

  /// Throws Error for numbers that no march can have.
  void validate() const;

  bool operator==(const March& other) const;
};
/// The name.
std::string to_string(const March& march);
/// All of it.
std::string describe(const March& march);

/// How real numbers become integers.
enum class Rounding {
  half_to_even,
  half_up,  ///< floor(x + 0.5), evaluated in double: the vendor's older one, "bpu_round"
};

/// Which scales are powers of two on a march that wants none.
enum class PowerOfTwo { none, activations, all };

/// What a model computes with: a march, and what was chosen beside it.
struct Arithmetic : March {
  Rounding rounding = Rounding::half_to_even;
  PowerOfTwo power_of_two = PowerOfTwo::none;

  Arithmetic() = default;
  Arithmetic(const March& march, Rounding how = {}, PowerOfTwo scales = {})
      : March(march), rounding(how), power_of_two(scales) {}

  /// The scale on the grid of activations, or `of_weights`: itself, or the smallest power of two that is not below it,
  /// within the march's exponents where it is the march that wants one. Throws Error unless it is positive and finite.
  float on_grid(float scale, bool of_weights = false) const;
  /// Whether the scale is above the grid's largest, so that values saturate.
  bool clips(float scale) const;

  bool operator==(const Arithmetic& other) const;
  using March::operator==;
};
/// All of it, as checkpoints carry it: two are equal where these are.
std::string describe(const Arithmetic& arithmetic);
/// For titles: the march's name, and what was chosen that is not the default.
std::string brief(const Arithmetic& arithmetic);

/// By name: "half_to_even", "bpu_round"; "none", "activations", "all". Throw Error listing these.
Rounding rounding_named(const std::string& name);
PowerOfTwo power_of_two_named(const std::string& name);
std::string to_string(Rounding rounding);
std::string to_string(PowerOfTwo scales);

/// A march in options: `March::bayes`, the name of a built-in one, "bayes", or none. Throws Error for an unknown name,
/// listing the known ones.
class MarchChoice : public std::optional<March> {
 public:
  MarchChoice() = default;
  MarchChoice(std::nullopt_t) {}
  MarchChoice(const March& march) : optional(march) {}
  MarchChoice(const std::optional<March>& march) : optional(march) {}
  MarchChoice(const char* name) : optional(March::named(name)) {}
  MarchChoice(const std::string& name) : optional(March::named(name)) {}
};

/// The march of calls that name none, per thread; bayes at first.
void set_march(const March& march);
/// A built-in one. Throws Error as `March::named` does.
void set_march(const std::string& name);
const March& default_march();

}  // namespace sinter::quant
