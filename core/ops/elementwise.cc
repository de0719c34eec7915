#include "elementwise.h"

namespace sinter::ops {

void expect_float(std::string_view op, std::span<const Spec> x, size_t count) {
  check(x.size() == count, op, ": got ", x.size(), " inputs, expected ", count);
  for (size_t i = 0; i < x.size(); ++i)
    check(x[i].dtype == DType::float32, op, ": input ", i, " is ", x[i], ", expected float32");
}

}  // namespace sinter::ops
