#pragma once

#include <cstdint>
#include <limits>
#include <string>

namespace sinter {

/// What a layer does to its result before anybody reads it: nothing, max(., 0), or min(max(., 0), 6).
enum class Activation : uint8_t { none, relu, relu6 };

/// none, relu or relu6 by its name. Throws Error for others.
Activation activation_named(const std::string& name);

/// The largest value that an activation lets through: infinity, or 6.
constexpr float ceiling(Activation activation) {
  return activation == Activation::relu6 ? 6.0f : std::numeric_limits<float>::infinity();
}

}  // namespace sinter
