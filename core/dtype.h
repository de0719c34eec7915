#pragma once

#include <cstdint>
#include <string_view>

namespace sinter {

enum class DType : uint8_t { float32, int8, uint8, int16, int32, int64 };

/// Bytes of one element.
int64_t size_of(DType dtype);

/// `float32`, `int8`, ...
std::string_view to_string(DType dtype);

/// The DType of a C++ element type; a type that has none does not compile.
template <class T>
struct DTypeOf {
  static_assert(sizeof(T) == 0, "a tensor's elements are float, int8_t, uint8_t, int16_t, int32_t or int64_t");
  static constexpr DType value = DType::float32;
};
template <>
struct DTypeOf<float> {
  static constexpr DType value = DType::float32;
};
template <>
struct DTypeOf<int8_t> {
  static constexpr DType value = DType::int8;
};
template <>
struct DTypeOf<uint8_t> {
  static constexpr DType value = DType::uint8;
};
template <>
struct DTypeOf<int16_t> {
  static constexpr DType value = DType::int16;
};
template <>
struct DTypeOf<int32_t> {
  static constexpr DType value = DType::int32;
};
template <>
struct DTypeOf<int64_t> {
  static constexpr DType value = DType::int64;
};

}  // namespace sinter
