#include "../../../core/ops/where.h"

#include "../../../core/ops/compare.h"
#include "../../support.h"

using namespace sinter;

TEST_CASE("where and comparisons compute what PyTorch's compute") {
  int cases = 0;
  const std::vector<std::pair<std::string, Tensor (*)(const Tensor&, const Tensor&)>> relations{
      {"eq", eq}, {"ne", ne}, {"lt", lt}, {"le", le}, {"gt", gt}, {"ge", ge}};
  for (const auto& c : test::golden("normalize")) {
    for (const auto& relation : relations)
      if (c.name == relation.first) {
        ++cases;
        CHECK_GOLDEN(c, relation.second);
      }
    if (c.name != "where") continue;
    ++cases;
    const Tensor condition = c.input("a");
    const Tensor y = where(condition, c.input("b"), c.input("c"));
    CHECK_SAME(y, c.output("y"));
    Tensor a = c.input("b").clone().set_requires_grad(true), b = c.input("c").clone().set_requires_grad(true);
    where(condition, a, b).backward(c.gradient("y"));
    CHECK_CLOSE(a.grad(), c.gradient("b"));
    CHECK_CLOSE(b.grad(), c.gradient("c"));
  }
  CHECK(cases == 7);
}

TEST_CASE("where's gradient is that of finite differences, and takes numbers") {
  const Tensor condition = gt(test::normal({4, 3}, 5), 0);
  CHECK_GRADIENT([&](const Tensor& a, const Tensor& b) { return where(condition, a, b); },
                 {test::normal({4, 1}), test::normal({3})});
  const Tensor x = Tensor::from({3}, {-1, 0, 2});
  CHECK_SAME(where(lt(x, 0), 5.0, x), Tensor::from({3}, {5, 0, 2}));
  CHECK_SAME(where(lt(x, 0), x, 5.0), Tensor::from({3}, {-1, 5, 5}));
  CHECK_THREADS([](const Tensor& a) { return where(gt(a.detach(), 0.5), a, 0.5); }, {test::normal({300, 301})});
}

TEST_CASE("where and comparisons say what does not fit") {
  CHECK_ERROR(where(Tensor::zeros({2}), Tensor::zeros({3}), Tensor::zeros({3})), "where: [2] and [3] do not broadcast");
  CHECK_ERROR(lt(Tensor::zeros({2}), Tensor::zeros({3})), "compare: [2] and [3] do not broadcast");
  CHECK_ERROR(ops::Compare{{"like"}}, "compare: relation is \"like\", expected eq, ne, lt, le, gt or ge");
}
