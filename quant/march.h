#pragma once

#include <string>

#include "datapath/datapath.h"

namespace sinter::quant {

enum class Rounding {
  half_to_even,
  half_up,  ///< floor(x + 0.5), evaluated in double: the older BPU rounding
};

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
  Rounding rounding = Rounding::half_to_even;
  bool int16_activations = true;
  int64_t int16_kernel = 256;  ///< largest height * width * input channels of a convolution on int16 activations

  static const March bernoulli, bernoulli2, bayes, bayes_e, nash;
  /// The built-in march of that name. Throws Error listing the known ones.
  static const March& named(const std::string& name);

  /// The scale on this march's grid: itself, or the smallest power of two that is not below it. Throws Error unless it
  /// is positive and finite.
  float on_grid(float scale) const;
  /// Whether the scale is above the grid's largest, so that values saturate.
  bool clips(float scale) const;

  /// Throws Error for numbers that no march can have.
  void validate() const;

  bool operator==(const March& other) const;
};
/// The name.
std::string to_string(const March& march);
/// All of it, as checkpoints carry it: two marches are equal where these are.
std::string describe(const March& march);

/// The march of calls that name none, per thread; bayes at first.
void set_march(const March& march);
const March& default_march();

}  // namespace sinter::quant
