#include "../../../nn/optim/clip.h"

#include <cmath>

#include "../../support.h"

using namespace sinter;

namespace {

std::vector<NamedParameter> parameters_of(const test::GoldenCase& c) {
  std::vector<NamedParameter> parameters;
  for (const auto& [name, gradient] : c.inputs) {
    parameters.push_back({name, Parameter(Tensor::zeros(gradient.shape()))});
    parameters.back().value.tensor().set_grad(gradient.clone());
  }
  return parameters;
}

}  // namespace

TEST_CASE("gradients are clipped as PyTorch clips them") {
  int cases = 0;
  for (const auto& c : test::golden("optim")) {
    if (!c.name.starts_with("clip")) continue;
    ++cases;
    const auto parameters = parameters_of(c);
    const double limit = c.attribute<double>("limit");
    if (c.name == "clip value")
      optim::clip_gradient_value(parameters, limit);
    else
      CHECK(optim::clip_gradient_norm(parameters, limit) ==
            doctest::Approx(static_cast<double>(c.output("norm").item())).epsilon(1e-6));
    for (const auto& p : parameters) CHECK_CLOSE(p.value.tensor().grad(), c.output(p.name), 1e-5, 1e-6);
  }
  CHECK(cases == 3);
}

TEST_CASE("a gradient that is not finite is named") {
  std::vector<NamedParameter> parameters{{"a", Parameter(Tensor::ones({2}))}, {"b", Parameter(Tensor::ones({2}))}};
  for (auto& p : parameters) p.value.tensor().set_grad(Tensor::ones({2}));
  parameters[1].value.tensor().set_grad(Tensor::from({2}, {1, NAN}));
  CHECK_ERROR(optim::clip_gradient_norm(parameters, 1), "b");
}

TEST_CASE("the norm does not depend on the number of threads") {
  const auto norm = [](const Tensor& x) {
    const std::vector<NamedParameter> parameters{{"a", Parameter(Tensor::zeros(x.shape()))}};
    Tensor(parameters[0].value.tensor()).set_grad(x.clone());
    return Tensor::full({}, optim::gradient_norm(parameters));
  };
  CHECK_THREADS(norm, {test::normal({100003})});
}
