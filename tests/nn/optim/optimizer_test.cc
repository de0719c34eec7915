#include "../../../nn/optim/optimizer.h"

#include <cmath>
#include <limits>

#include "../../../core/parallel.h"
#include "../../../nn/optim/adam.h"
#include "../../../nn/optim/adamw.h"
#include "../../../nn/optim/clip.h"
#include "../../../nn/optim/lamb.h"
#include "../../../nn/optim/rmsprop.h"
#include "../../../nn/optim/sgd.h"
#include "../../support.h"

using namespace sinter;

namespace {

// Every step of a golden case, with the gradients it gives.
template <class O>
void check_steps(const test::GoldenCase& c, O optimizer) {
  const int64_t steps = c.input("gradients").size(0), size = c.input("gradients").size(1);
  const std::vector<NamedParameter> parameters{{"value", Parameter(c.input("value").clone())}};
  Tensor value = parameters[0].value.tensor();
  for (int64_t step = 0; step < steps; ++step) {
    const float* gradient = c.input("gradients").data<float>() + step * size;
    value.set_grad(Tensor::from({size}, std::vector<float>(gradient, gradient + size)));
    optimizer.step(parameters);
    optim::zero_grad(parameters);
    const float* expected = c.output("values").data<float>() + step * size;
    INFO(c.name, ", step ", step);
    CHECK_CLOSE(value.detach(), Tensor::from({size}, std::vector<float>(expected, expected + size)), 1e-5, 1e-6);
  }
}

std::vector<NamedParameter> two(float gradient = 1) {
  std::vector<NamedParameter> parameters{{"a.weight", Parameter(Tensor::ones({2, 3}))},
                                         {"a.bias", Parameter(Tensor::ones({3}))}};
  for (auto& p : parameters) p.value.tensor().set_grad(Tensor::full(p.value.tensor().shape(), gradient));
  return parameters;
}

}  // namespace

TEST_CASE("optimisers take PyTorch's steps, and Lamb those of its paper") {
  int sgd = 0, adamw = 0, adam = 0, rmsprop = 0, lamb = 0;
  for (const auto& c : test::golden("optim")) {
    const auto number = [&](const char* key) { return c.attribute<double>(key); };
    if (c.name.starts_with("sgd")) {
      ++sgd;
      check_steps(c, optim::SGD{{.lr = number("lr"),
                                 .momentum = number("momentum"),
                                 .nesterov = c.attribute<bool>("nesterov"),
                                 .weight_decay = number("weight_decay"),
                                 .dampening = number("dampening")}});
    } else if (c.name.starts_with("adamw")) {
      ++adamw;
      check_steps(c, optim::AdamW{{.lr = number("lr"),
                                   .beta1 = number("beta1"),
                                   .beta2 = number("beta2"),
                                   .eps = number("eps"),
                                   .weight_decay = number("weight_decay")}});
    } else if (c.name.starts_with("adam ")) {
      ++adam;
      check_steps(c, optim::Adam{{.lr = number("lr"),
                                  .beta1 = number("beta1"),
                                  .beta2 = number("beta2"),
                                  .eps = number("eps"),
                                  .weight_decay = number("weight_decay")}});
    } else if (c.name.starts_with("lamb")) {
      ++lamb;
      check_steps(c, optim::Lamb{{.lr = number("lr"),
                                  .beta1 = number("beta1"),
                                  .beta2 = number("beta2"),
                                  .eps = number("eps"),
                                  .weight_decay = number("weight_decay")}});
    } else if (c.name.starts_with("rmsprop")) {
      ++rmsprop;
      check_steps(c, optim::RMSprop{{.lr = number("lr"),
                                     .alpha = number("alpha"),
                                     .eps = number("eps"),
                                     .momentum = number("momentum"),
                                     .centered = c.attribute<bool>("centered"),
                                     .weight_decay = number("weight_decay")}});
    }
  }
  CHECK(sgd == 8);
  CHECK(adamw == 4);
  CHECK(adam == 3);
  CHECK(lamb == 3);
  CHECK(rmsprop == 8);
}

TEST_CASE("rules change the rate and decay of the parameters they match, the last one winning") {
  optim::SGD optimizer{{.lr = 1,
                        .weight_decay = 0.5,
                        .rules = {{.match = "*", .lr_scale = 0.5},
                                  {.match = optim::is_vector, .weight_decay = 0},
                                  {.match = [](const NamedParameter& p) { return p.name == "b"; }, .lr_scale = 7}}}};
  const auto parameters = two(0);
  CHECK(optimizer.settings(parameters[0]) == std::pair(0.5, 0.5));
  CHECK(optimizer.settings(parameters[1]) == std::pair(1.0, 0.0));
  optimizer.step(parameters);
  CHECK_CLOSE(parameters[0].value.tensor().detach(), Tensor::full({2, 3}, 0.75));
  CHECK_CLOSE(parameters[1].value.tensor().detach(), Tensor::ones({3}));
}

TEST_CASE("a parameter's own weight decay counts unless a rule has one") {
  const auto decays = [](std::vector<optim::Rule> rules) {
    optim::SGD optimizer{{.lr = 1, .weight_decay = 0.5, .rules = std::move(rules)}};
    auto parameters = two(0);
    parameters[0].value.set_weight_decay(0.25);
    optimizer.step(parameters);
    std::vector<double> seen;
    for (const auto& p : parameters) {
      seen.push_back(optimizer.settings(p).second);
      CHECK(p.value.tensor().values<float>()[0] == 1 - seen.back());
    }
    return seen;
  };
  CHECK(decays({}) == std::vector<double>{0.25, 0.5});
  CHECK(decays({{.match = "a.*", .lr_scale = 1}}) == std::vector<double>{0.25, 0.5});
  CHECK(decays({{.match = "a.*", .weight_decay = 0.125}}) == std::vector<double>{0.125, 0.125});

  optim::AdamW adamw{{.lr = 0.5, .weight_decay = 0.5}};
  auto parameters = two(0);
  parameters[0].value.set_weight_decay(0);
  adamw.step(parameters);
  CHECK(parameters[0].value.tensor().values<float>()[0] == 1);
  CHECK(parameters[1].value.tensor().values<float>()[0] == 0.75f);
}

TEST_CASE("no step takes a parameter below its minimum") {
  const auto after = [](optim::AnyOptimizer optimizer) {
    auto parameters = two(4);
    parameters[0].value.set_minimum(-0.25f);
    optimizer->step(parameters);
    for (const float v : parameters[0].value.tensor().values<float>()) CHECK(v == -0.25f);
    for (const float v : parameters[1].value.tensor().values<float>()) CHECK(v < -0.25f);
    parameters = two();
    optim::zero_grad(parameters);
    parameters[0].value.set_minimum(2);
    optimizer->step(parameters);  // no gradient, no step
    CHECK(parameters[0].value.tensor().values<float>()[0] == 1);
  };
  after(optim::SGD{{.lr = 1}});
  after(optim::AdamW{{.lr = 2}});
  after(optim::Adam{{.lr = 2}});
  after(optim::RMSprop{{.lr = 1}});
  after(optim::Lamb{{.lr = 2}});
}

TEST_CASE("what has no gradient, and buffers, stay as they are") {
  optim::SGD optimizer{{.lr = 1}};
  auto parameters = two();
  parameters[0].value.tensor().set_grad({});
  parameters.push_back({"buffer", Parameter(Tensor::ones({2}), false)});
  optimizer.step(parameters);
  CHECK_SAME(parameters[0].value.tensor().detach(), Tensor::ones({2, 3}));
  CHECK_SAME(parameters[1].value.tensor().detach(), Tensor::zeros({3}));
  CHECK_SAME(parameters[2].value.tensor(), Tensor::ones({2}));
}

TEST_CASE("an optimiser's state goes into a file and back, to the same steps") {
  optim::AdamW a{{.lr = 0.1}};
  const auto parameters = two();
  a.step(parameters);
  Archive archive("test");
  a.save(archive, "optimizer");

  const auto copy = two();
  for (size_t i = 0; i < 2; ++i) copy[i].value.tensor().detach().copy_from(parameters[i].value.tensor());
  optim::AdamW b{{.lr = 0.3}};
  b.load(archive, "optimizer");
  CHECK(b.lr() == 0.1);
  a.step(parameters);
  b.step(copy);
  for (size_t i = 0; i < 2; ++i) CHECK_SAME(copy[i].value.tensor().detach(), parameters[i].value.tensor().detach());

  optim::SGD other{{.momentum = 0.9}};
  CHECK_ERROR(other.load(archive, "optimizer"), "momentum");
  for (const int64_t steps : {int64_t{-1}, std::numeric_limits<int64_t>::max()}) {
    Archive altered = archive;
    altered.set(archive.names("optimizer/steps/")[0], steps);
    CHECK_ERROR(b.load(altered, "optimizer"), text("is ", steps, ", expected 0 to 9007199254740992"));
  }
}

TEST_CASE("every optimiser's state goes into a file and back, and its steps do not depend on the number of threads") {
  const std::vector<optim::AnyOptimizer> optimizers{optim::SGD{{.lr = 0.1, .momentum = 0.9}},
                                                    optim::AdamW{},
                                                    optim::Adam{{.weight_decay = 0.1}},
                                                    optim::RMSprop{},
                                                    optim::RMSprop{{.momentum = 0.9, .centered = true}},
                                                    optim::Lamb{}};
  const int before = threads();
  for (const optim::AnyOptimizer& optimizer : optimizers) {
    CAPTURE(optimizer->describe());
    const auto run = [&](int count, bool through_file) {
      set_threads(count);
      const std::vector<NamedParameter> parameters{{"w", Parameter(test::normal({300, 200}, 1))},
                                                   {"b", Parameter(Tensor::zeros({70}))}};
      optim::AnyOptimizer at_work = optimizer;
      for (uint64_t step = 0; step < 4; ++step) {
        for (size_t i = 0; i < 2; ++i) {
          Tensor value = parameters[i].value.tensor();
          value.set_grad(test::normal(value.shape(), 10 * step + i));
        }
        if (through_file && step == 2) {
          Archive archive("test");
          at_work->save(archive, "optimizer");
          at_work = optimizer;
          at_work->load(archive, "optimizer");
        }
        at_work->step(parameters);
      }
      return std::vector<Tensor>{parameters[0].value.tensor().detach(), parameters[1].value.tensor().detach()};
    };
    const auto expected = run(1, false);
    for (const auto& actual : {run(3, false), run(2, true)})
      for (size_t i = 0; i < 2; ++i) CHECK_SAME(actual[i], expected[i]);
    CHECK(!test::difference(expected[1], Tensor::zeros({70}), 0, 0).empty());
  }
  set_threads(before);
}

TEST_CASE("a parameter whose shape changes under its name is an error") {
  optim::SGD optimizer{{.lr = 1, .momentum = 0.9}};
  optimizer.step(two());
  std::vector<NamedParameter> other{{"a.weight", Parameter(Tensor::ones({5}))}};
  other[0].value.tensor().set_grad(Tensor::ones({5}));
  CHECK_ERROR(optimizer.step(other), "parameter a.weight is [5], its state from before is [2,3]");
}

TEST_CASE("copies of an optimiser have their own state") {
  optim::AnyOptimizer first = optim::SGD{{.lr = 1, .momentum = 0.5}};
  const auto parameters = two();
  first->step(parameters);
  optim::AnyOptimizer second = first;
  const auto others = two();
  first->step(parameters);  // momentum 1.5
  second->step(others);     // likewise, from the copied state
  CHECK_SAME(others[1].value.tensor().detach(), Tensor::full({3}, -0.5));
  second->step(others);
  CHECK_SAME(others[1].value.tensor().detach(), Tensor::full({3}, -2.25));
}

TEST_CASE("optimisers refuse options that make no sense") {
  CHECK_ERROR((optim::SGD{{.lr = -1}}), "optimizer: lr is -1, expected 0 or more");
  CHECK_ERROR((optim::SGD{{.weight_decay = -1}}), "optimizer: weight_decay is -1");
  CHECK_ERROR((optim::SGD{{.momentum = 1}}), "SGD: momentum is 1, expected 0 <= momentum < 1");
  CHECK_ERROR((optim::SGD{{.nesterov = true}}), "SGD: nesterov needs a momentum");
  CHECK_ERROR((optim::AdamW{{.beta1 = 1}}), "beta1");
  CHECK_ERROR((optim::AdamW{{.eps = -1}}), "eps");
  CHECK_ERROR((optim::Adam{{.beta2 = 1}}), "Adam: beta2 is 1, expected 0 <= beta2 < 1");
  CHECK_ERROR((optim::Lamb{{.beta1 = -1}}), "Lamb: beta1 is -1, expected 0 <= beta1 < 1");
  CHECK_ERROR((optim::RMSprop{{.alpha = 1}}), "RMSprop: alpha is 1, expected 0 <= alpha < 1");
  CHECK_ERROR((optim::RMSprop{{.momentum = 1}}), "RMSprop: momentum is 1, expected 0 <= momentum < 1");
}

TEST_CASE("a rule whose pattern is no parameter's name is an error with the nearest") {
  const auto parameters = two();
  optim::SGD optimizer{{.lr = 1, .rules = {{.match = "a.weigth", .lr_scale = 0}}}};
  CHECK_ERROR(optimizer.step(parameters),
              "optimizer: a rule's match 'a.weigth' is the name of no parameter; did you mean 'a.weight'?");
  optim::SGD elsewhere{{.lr = 1, .rules = {{.match = "backbone.*", .lr_scale = 0}}}};
  CHECK_ERROR(elsewhere.step(parameters), "'backbone.*' is the name of no parameter; there are a.weight, a.bias");
  CHECK_SAME(parameters[0].value.tensor().detach(), Tensor::ones({2, 3}));
  // A property may be nobody's.
  optim::SGD vectors{{.lr = 1, .rules = {{.match = optim::is_vector, .weight_decay = 0}}}};
  CHECK_NOTHROW(vectors.step({parameters[0]}));
}

TEST_CASE("what is frozen is left alone: no old gradient, decay or momentum moves it") {
  auto parameters = two();
  optim::SGD optimizer{{.lr = 1, .momentum = 0.9, .weight_decay = 0.5}};
  optimizer.step(parameters);
  Tensor frozen = parameters[0].value.tensor();
  const Tensor before = frozen.detach().clone();
  frozen.set_requires_grad(false);
  CHECK(frozen.grad().defined());
  optimizer.step(parameters);
  CHECK_SAME(frozen.detach(), before);
  // Nor does it count in the norm; and its gradient goes with the others.
  CHECK(optim::gradient_norm(parameters) == doctest::Approx(std::sqrt(3.0)));
  optim::zero_grad(parameters);
  CHECK(!frozen.grad().defined());
}
