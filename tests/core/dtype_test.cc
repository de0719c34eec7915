#include "../../core/dtype.h"

#include "../support.h"

using namespace sinter;

TEST_CASE_TEMPLATE("an element type is the C++ type's, in size and name", T, float, int8_t, uint8_t, int16_t, int32_t,
                   int64_t) {
  const DType dtype = DTypeOf<T>::value;
  CHECK(size_of(dtype) == sizeof(T));
  const std::string sign = std::is_floating_point_v<T> ? "float" : std::is_signed_v<T> ? "int" : "uint";
  CHECK(to_string(dtype) == sign + std::to_string(8 * sizeof(T)));
}
