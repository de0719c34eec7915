#include "../../core/checked_span.h"

#include <array>

#include "../../core/op.h"
#include "../support.h"

using namespace sinter;

TEST_CASE("an index beyond a list of tensors or specs is an error") {
  const std::vector<Tensor> two{Tensor::ones({1}), Tensor::zeros({2})};
  const std::span<const Tensor> x(two);
  CHECK(x[1].shape() == Shape{2});
  CHECK_ERROR(x[2], "element 2 was asked for, where there are 2");
  CHECK_ERROR(x.subspan(1)[1], "element 1 was asked for, where there is 1");
  CHECK_ERROR(x.subspan(3), "element 3 was asked for");
  CHECK_ERROR(x.first(3), "element 2 was asked for");
  CHECK_ERROR(std::span<const Tensor>().front(), "element 0 was asked for, where there are 0");
  const std::vector<Spec> specs(1);
  CHECK_ERROR(std::span<const Spec>(specs)[1], "element 1 was asked for");
  struct Second final : Op {
    std::string_view name() const override { return "second"; }
    Specs infer(std::span<const Spec> given) const override { return {given[1]}; }
    void forward(Inputs given, Outputs y, Context&) const override { y[0].copy_from(given[1]); }
  };
  CHECK_ERROR(call(Second{}, Tensor::ones({1})), "second: got 1 input, expected at least 2");
}

TEST_CASE("the checked span is made of what std::span is made of") {
  std::vector<Tensor> vector(3);
  const std::vector<Tensor> constant(3);
  std::array<Tensor, 3> array;
  Tensor plain[3];
  const auto size = [](std::span<const Tensor> x) { return x.size(); };
  CHECK(size(vector) == 3);
  CHECK(size(constant) == 3);
  CHECK(size(array) == 3);
  CHECK(size(plain) == 3);
  CHECK(size({&plain[0], 2}) == 2);
  CHECK(size({vector.begin(), vector.end()}) == 3);
  CHECK(size({vector.begin(), 1}) == 1);
  CHECK(size(std::span<Tensor>(vector)) == 3);
  CHECK(size({}) == 0);
  CHECK(std::span<const Tensor>(vector).last(2).data() == &vector[1]);
  CHECK(std::vector<Tensor>(std::span<const Tensor>(vector).begin(), std::span<const Tensor>(vector).end()).size() ==
        3);
  static_assert(!std::is_convertible_v<std::vector<int>, std::span<const Tensor>>);
}
