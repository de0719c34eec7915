#pragma once

#include "../../../core/parallel.h"
#include "../../support.h"

namespace sinter::test {

/// What differs between 1 and 3 threads, in the output or in a gradient, by more than the rounding of sums of numbers
/// around 1; or an empty string.
inline std::string rounding_failure(const TensorFunction& f, const std::vector<Tensor>& x) {
  const auto results = [&](int count) {
    const int before = threads();
    set_threads(count);
    std::vector<Tensor> leaves, all;
    for (const Tensor& t : x) leaves.push_back(t.clone().set_requires_grad(true));
    all.push_back(f(leaves));
    all[0].backward(normal(all[0].shape(), 9));
    for (const Tensor& leaf : leaves) all.push_back(leaf.grad());
    set_threads(before);
    return all;
  };
  const std::vector<Tensor> one = results(1), three = results(3);
  for (size_t i = 0; i < one.size(); ++i)
    if (const std::string wrong = difference(three[i], one[i], 1e-4, 1e-4); !wrong.empty())
      return text(i == 0 ? "output" : text("gradient of input ", i - 1), " with 3 threads instead of 1: ", wrong);
  return "";
}

}  // namespace sinter::test

/// CHECK_ROUNDING(f, {a, b}): output and gradients are the same with 1 and 3 threads but for rounding.
#define CHECK_ROUNDING(f, ...) \
  SINTER_CHECK_NO_FAILURE(::sinter::test::rounding_failure(::sinter::test::as_function(f), __VA_ARGS__))
