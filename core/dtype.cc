#include "dtype.h"

#include <array>

namespace sinter {

namespace {
constexpr std::array<int64_t, 6> kSizes{4, 1, 1, 2, 4, 8};
constexpr std::array<std::string_view, 6> kNames{"float32", "int8", "uint8", "int16", "int32", "int64"};
}  // namespace

int64_t size_of(DType dtype) { return kSizes[static_cast<size_t>(dtype)]; }
std::string_view to_string(DType dtype) { return kNames[static_cast<size_t>(dtype)]; }

}  // namespace sinter
