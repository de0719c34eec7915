#include "compare.h"

#include "broadcast.h"

namespace sinter {

namespace ops {

Compare::Compare(const CompareAttributes& a) : OpWith(a) {
  const std::string& r = a.relation;
  const bool known = r == "eq" || r == "ne" || r == "lt" || r == "le" || r == "gt" || r == "ge";
  check(known, "compare: relation is \"", r, "\", expected eq, ne, lt, le, gt or ge");
}

Specs Compare::infer(std::span<const Spec> x) const {
  expect_float("compare", x, 2);
  return {{DType::float32, broadcast_shape("compare", x[0].shape, x[1].shape)}};
}

void Compare::forward(Inputs x, Outputs y, Context&) const {
  const std::string& r = attributes.relation;
  const auto by = [&](const auto& holds) {
    broadcast_map(x[0], x[1], y[0], [&holds](float a, float b) { return holds(a, b) ? 1.0f : 0.0f; });
  };
  if (r == "eq") return by([](float a, float b) { return a == b; });
  if (r == "ne") return by([](float a, float b) { return a != b; });
  if (r == "lt") return by([](float a, float b) { return a < b; });
  if (r == "le") return by([](float a, float b) { return a <= b; });
  if (r == "gt") return by([](float a, float b) { return a > b; });
  by([](float a, float b) { return a >= b; });
}

}  // namespace ops

Tensor eq(const Tensor& a, const Tensor& b) { return call(ops::Compare{{"eq"}}, a, b); }
Tensor eq(const Tensor& a, double b) { return eq(a, Tensor::full({}, b)); }
Tensor ne(const Tensor& a, const Tensor& b) { return call(ops::Compare{{"ne"}}, a, b); }
Tensor ne(const Tensor& a, double b) { return ne(a, Tensor::full({}, b)); }
Tensor lt(const Tensor& a, const Tensor& b) { return call(ops::Compare{{"lt"}}, a, b); }
Tensor lt(const Tensor& a, double b) { return lt(a, Tensor::full({}, b)); }
Tensor le(const Tensor& a, const Tensor& b) { return call(ops::Compare{{"le"}}, a, b); }
Tensor le(const Tensor& a, double b) { return le(a, Tensor::full({}, b)); }
Tensor gt(const Tensor& a, const Tensor& b) { return call(ops::Compare{{"gt"}}, a, b); }
Tensor gt(const Tensor& a, double b) { return gt(a, Tensor::full({}, b)); }
Tensor ge(const Tensor& a, const Tensor& b) { return call(ops::Compare{{"ge"}}, a, b); }
Tensor ge(const Tensor& a, double b) { return ge(a, Tensor::full({}, b)); }

}  // namespace sinter
