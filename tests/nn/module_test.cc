#include "../../nn/module.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <memory>
#include <optional>

#include "../../core/fuse.h"
#include "../../core/ops/arithmetic.h"
#include "../../core/ops/relu.h"
#include "../../nn/layers/basic_block.h"
#include "../../nn/layers/linear.h"
#include "../../nn/layers/sequential.h"

using namespace sinter;

namespace {

struct Scale : nn::Module {
  Parameter scale{Tensor::full({2}, 2)};
  Parameter count{Tensor::full({1}, 1), false};
  SINTER_CHILDREN(scale, count)
  Tensor forward(const Tensor& x) const override { return x * scale.tensor(); }
};

struct Net : nn::Module {
  Scale first;
  std::vector<Scale> body{Scale{}, Scale{}};
  std::optional<Scale> none;
  Parameter shift{Tensor::full({2}, 1)};
  SINTER_CHILDREN(first, body, none, shift)
  Tensor forward(const Tensor& x) const override {
    Tensor y = first(x);
    for (const auto& scale : body) y = scale(y);
    return y + shift.tensor();
  }
};

std::vector<std::string> names(const std::vector<NamedParameter>& parameters) {
  std::vector<std::string> all;
  for (const auto& parameter : parameters) all.push_back(parameter.name);
  return all;
}

template <class F>
std::string message(const F& f) {
  try {
    f();
  } catch (const Error& error) {
    return error.what();
  }
  return "no error";
}

const float* values(const Parameter& parameter) { return parameter.tensor().data<float>(); }

using Names = std::vector<std::string>;

}  // namespace

TEST_CASE("parameters are named by their path, buffers only in the state") {
  const Net net;
  CHECK(names(net.parameters()) == Names{"first.scale", "body.0.scale", "body.1.scale", "shift"});
  CHECK(names(net.named_state()) ==
        Names{"first.scale", "first.count", "body.0.scale", "body.0.count", "body.1.scale", "body.1.count", "shift"});
  CHECK(values(net.parameters()[1].value) == values(net.body[0].scale));

  std::vector<std::string> paths;
  for (const auto& [path, module] : net.modules()) paths.push_back(path);
  CHECK(paths == Names{"", "first", "body.0", "body.1"});
  CHECK(net.modules()[3].second == &net.body[1]);
}

TEST_CASE("lists of lists, arrays and pointers are named by index") {
  struct Local : nn::Module {
    std::vector<std::vector<Scale>> grid{std::vector<Scale>(1), std::vector<Scale>(2)};
    std::array<Parameter, 2> pair{Parameter(Tensor::zeros({1})), Parameter(Tensor::zeros({1}))};
    std::unique_ptr<Scale> owned = std::make_unique<Scale>();
    std::vector<std::shared_ptr<nn::Module>> any{std::make_shared<Scale>(), nullptr};
    SINTER_CHILDREN(grid, pair, owned, any)
  };
  CHECK(names(Local().parameters()) ==
        Names{"grid.0.0.scale", "grid.1.0.scale", "grid.1.1.scale", "pair.0", "pair.1", "owned.scale", "any.0.scale"});
}

TEST_CASE("a module runs") {
  const Net net;
  CHECK(net(Tensor::ones({1, 2})).at({0, 1}) == 9);
  CHECK(net({Tensor::ones({1, 2})})[0].at({0, 1}) == 9);
  CHECK(message([&] { net({Tensor::ones({1, 2}), Tensor::ones({1, 2})}); }) == "Net: got 2 inputs, expected one");
}

TEST_CASE("a module with several inputs and outputs overrides forward_all") {
  struct Swap : nn::Module {
    SINTER_CHILDREN()
    std::vector<Tensor> forward_all(std::span<const Tensor> x) const override { return {x.rbegin(), x.rend()}; }
  };
  const Swap swap;
  const auto y = swap({Tensor::zeros({1}), Tensor::ones({1})});
  CHECK(y.size() == 2);
  CHECK(y[0].item() == 1);
  CHECK(swap(Tensor::ones({1})).item() == 1);

  struct Twice : nn::Module {
    SINTER_CHILDREN()
    std::vector<Tensor> forward_all(std::span<const Tensor> x) const override { return {x[0], x[0]}; }
  };
  CHECK(message([] { Twice()(Tensor::ones({1})); }) == "Twice: it has 2 outputs, expected one; call it with {x}");

  struct Nothing : nn::Module {
    SINTER_CHILDREN()
  };
  CHECK(message([] { Nothing()(Tensor::ones({1})); }) == "Nothing: it overrides neither forward nor forward_all");
  CHECK(message([] { Nothing()({Tensor::ones({1})}); }) == "Nothing: it overrides neither forward nor forward_all");
}

TEST_CASE("copies have parameters of their own, moved modules keep theirs") {
  Net net;
  net.eval();
  Net copy = net;
  CHECK(!copy.training());
  const float* before = values(net.first.scale);
  CHECK(values(copy.first.scale) != before);
  CHECK(values(copy.first.scale)[0] == 2);

  Net moved = std::move(net);
  CHECK(values(moved.first.scale) == before);

  copy.body[1].scale.tensor().mutable_data<float>()[0] = 5;
  moved = copy;
  CHECK(values(moved.first.scale) == before);  // assigned in place: an optimiser's handles stay valid
  CHECK(values(moved.body[1].scale)[0] == 5);
  CHECK(values(moved.body[1].scale) != values(copy.body[1].scale));

  std::vector<Scale> grown(1);
  const float* kept = values(grown[0].scale);
  grown.resize(20);
  CHECK(values(grown[0].scale) == kept);
}

TEST_CASE("what is shared appears once, under its first name") {
  struct Tied : nn::Module {
    Scale a, b;
    std::shared_ptr<Scale> c = std::make_shared<Scale>(), d = c;
    SINTER_CHILDREN(a, b, c, d)
    Tied() { b.scale = a.scale.share(); }
  };
  const Tied tied;
  CHECK(names(tied.parameters()) == Names{"a.scale", "c.scale"});
  CHECK(names(tied.named_state()) == Names{"a.scale", "a.count", "b.count", "c.scale", "c.count"});
  CHECK(tied.modules().size() == 4);
}

TEST_CASE("a subclass without a list of its own is an error, wherever it is") {
  struct More : Scale {
    Parameter extra{Tensor::ones({1})};
  };
  struct Around : nn::Module {
    std::vector<More> inner = std::vector<More>(1);
    SINTER_CHILDREN(inner)
    Tensor forward(const Tensor& x) const override { return inner[0](x); }
  };
  const std::string expected =
      "More: it has no SINTER_CHILDREN line of its own, only that of Scale; list the layers of both in one";
  CHECK(message([] { More()(Tensor::ones({2})); }) == expected);
  CHECK(message([] { Around().parameters(); }) == expected);
  CHECK(message([] { Around().eval(); }) == expected);
  CHECK(message([] { Around()(Tensor::ones({2})); }) == expected + " (in inner.0)");
}

TEST_CASE("train and eval reach every module and call its hook") {
  struct Hooked : nn::Module {
    Scale inner;
    bool seen = true;
    SINTER_CHILDREN(inner)
    void on_train(bool training) override { seen = training; }
  };
  Hooked hooked;
  CHECK(hooked.inner.training());
  hooked.eval();
  CHECK(!hooked.training());
  CHECK(!hooked.inner.training());
  CHECK(!hooked.seen);
  hooked.train();
  CHECK(hooked.inner.training());
  CHECK(hooked.seen);
}

TEST_CASE("operations see the mode of the module that calls them") {
  struct Mode : nn::Module {
    SINTER_CHILDREN()
    Tensor forward(const Tensor&) const override { return Tensor::full({1}, training_mode()); }
  };
  struct Outer : nn::Module {
    Mode inner;
    SINTER_CHILDREN(inner)
    Tensor forward(const Tensor& x) const override {
      Tensor y = Tensor::full({1}, training_mode());
      return y * Tensor::full({1}, 10) + inner(x);
    }
  };
  Outer outer;
  const Tensor x = Tensor::zeros({1});
  CHECK(outer(x).item() == 11);
  outer.inner.eval();  // frozen statistics in a model that trains
  CHECK(outer(x).item() == 10);
  outer.eval();
  CHECK(outer(x).item() == 0);
  {
    const nn::ModeOverride train(true);
    CHECK(outer(x).item() == 11);
    {
      const nn::ModeOverride evaluate(false);
      CHECK(outer(x).item() == 0);
    }
    CHECK(outer(x).item() == 11);
  }
  CHECK(outer(x).item() == 0);
  CHECK(!outer.training());
  CHECK(!training_mode());
}

TEST_CASE("state moves by name") {
  Net from, to;
  from.body[1].scale.tensor().mutable_data<float>()[1] = 7;
  from.first.count.tensor().mutable_data<float>()[0] = 3;
  const float* elements = values(to.body[1].scale);
  to.load_state(from.named_state());
  CHECK(values(to.body[1].scale) == elements);
  CHECK(elements[1] == 7);
  CHECK(values(to.first.count)[0] == 3);
}

TEST_CASE("a state that does not fit is refused with everything that is wrong, and changes nothing") {
  const Net from;
  auto state = from.named_state();
  state[0].value = Parameter(Tensor::ones({3}));
  state[1].name = "first.number";
  state[2].value = Parameter(Tensor::zeros({2}));
  state.pop_back();
  state.push_back({"body.1.count", Parameter(Tensor::ones({1}))});
  state.push_back({"extra", Parameter(Tensor::ones({1}))});
  state[4].value = Parameter();
  Net to;
  CHECK(message([&] { to.load_state(state); }) ==
        "load_state: the state does not fit Net:\n"
        "  body.1.count is there twice\n"
        "  first.scale is float32 [3], expected float32 [2]\n"
        "  first.count is missing\n"
        "  body.1.scale is undefined\n"
        "  shift is missing\n"
        "  and 2 more");
  CHECK(values(to.body[0].scale)[0] == 2);
}

TEST_CASE("an error names the module it came from, once") {
  struct Deep : nn::Module {
    std::vector<nn::Sequential> body{nn::Sequential{Scale{}, Scale{}}};
    SINTER_CHILDREN(body)
    Tensor forward(const Tensor& x) const override { return body[0](x); }
  };
  Deep deep;
  const Tensor wrong = Tensor::ones({3});
  const std::string own = message([&] { Scale()(wrong); });
  CHECK(own.find("(in ") == std::string::npos);
  CHECK(message([&] { deep(wrong); }) == own + " (in body.0.0)");

  struct Unlisted : nn::Module {
    struct Inner : nn::Module {
      Scale scale;
      SINTER_CHILDREN()
      Tensor forward(const Tensor& x) const override { return scale(x); }
    } inner;
    SINTER_CHILDREN(inner)
    Tensor forward(const Tensor& x) const override { return inner(x); }
  };
  CHECK(message([&] { Unlisted()(wrong); }) == own + " (in inner)");  // the innermost that is known
}

TEST_CASE("an error that was dealt with leaves no trace in the next") {
  struct Careful : nn::Module {
    Scale a, b;
    SINTER_CHILDREN(a, b)
    Tensor forward(const Tensor& x) const override {
      try {
        return a(Tensor::ones({3}));
      } catch (const Error&) {
        return b(x);
      }
    }
  };
  Careful careful;
  CHECK(careful(Tensor::ones({2})).at({0}) == 2);
  CHECK(message([&] { careful(Tensor::ones({5})); }).find("(in b)") != std::string::npos);
  CHECK(message([&] { Scale()(Tensor::ones({3})); }).find("(in ") == std::string::npos);
}

TEST_CASE("errors of other kinds pass unchanged") {
  struct Stop : Error {
    using Error::Error;
  };
  struct Stopping : nn::Module {
    SINTER_CHILDREN()
    Tensor forward(const Tensor&) const override { throw Stop("stop"); }
  };
  struct Outer : nn::Module {
    Stopping inner;
    SINTER_CHILDREN(inner)
    Tensor forward(const Tensor& x) const override { return inner(x); }
  };
  CHECK_THROWS_AS(Outer()(Tensor::ones({1})), Stop);
}

TEST_CASE("a module prints as a tree") {
  struct Tree : nn::Module {
    nn::Linear head{{.in = 3, .out = 2}};
    std::vector<nn::Sequential> body{
        nn::Sequential{nn::Conv2d{{.in = 4, .out = 6, .kernel = {1, 3}, .stride = 2, .groups = 2, .bias = false}}}};
    SINTER_CHILDREN(head, body)
  };
  CHECK(to_string(Tree()) ==
        "Tree\n"
        "  head: Linear(3 -> 2)\n"
        "  body.0: Sequential\n"
        "    0: Conv2d(4 -> 6, kernel=1x3, stride=2x2, groups=2, bias=false)\n");
}

TEST_CASE("trace names nodes by module path and shares the parameters") {
  const Net net;
  const Graph graph = trace(net, Tensor::ones({1, 2}));
  std::vector<std::string> nodes;
  for (const Node& node : graph.nodes) nodes.push_back(node.name);
  CHECK(nodes == Names{"first", "body.0", "body.1", "add"});
  CHECK(names(graph.parameters) == Names{"first.scale", "body.0.scale", "body.1.scale", "shift"});
  CHECK(values(graph.parameters[0].value) == values(net.first.scale));
  CHECK(graph(Tensor::ones({3, 2})).at({2, 1}) == 9);
}

TEST_CASE("a parameter's own weight decay is seen in the module, its copies, its graph and the fused graph") {
  Net net;
  net.first.scale.set_weight_decay(0.25);
  const Net copy = net;
  const Graph graph = trace(copy, Tensor::ones({1, 2}));
  for (const auto& parameters : {net.parameters(), copy.parameters(), graph.parameters, Graph(graph).parameters,
                                 fuse_batch_norm(graph).parameters}) {
    REQUIRE(parameters.size() == 4);
    CHECK(parameters[0].value.weight_decay() == 0.25);
    CHECK(!parameters[1].value.weight_decay());
  }
}

TEST_CASE("trace reports a parameter that is used but not listed") {
  struct Forgot : nn::Module {
    Scale listed, unlisted;
    SINTER_CHILDREN(listed)
    Tensor forward(const Tensor& x) const override { return unlisted(listed(x)); }
  };
  CHECK(message([] {
          trace(Forgot(), Tensor::ones({1, 2}));
        }) == "parameter of shape [2] used in mul but not in the module tree: list it in SINTER_CHILDREN");
}

TEST_CASE("trace finds modules that behave differently in training, whatever their flags say") {
  struct Seed : nn::Module {
    SINTER_CHILDREN()
    Tensor forward(const Tensor& x) const override { return training_mode() ? relu(x) : x + x; }
  };
  Seed seed;
  seed.eval();
  CHECK(message([&] {
          trace(seed, Tensor::ones({1, 2}));
        }).find("differs between evaluation and training") != std::string::npos);
}

namespace {
struct TwoInputs : nn::Module {
  SINTER_CHILDREN()
  std::vector<Tensor> forward_all(std::span<const Tensor> x) const override { return {x[0] + x[1]}; }
};
}  // namespace

TEST_CASE("a network that reads more inputs than it was given says so, however it is run") {
  const std::string said = "TwoInputs: it reads input 1 (the first is 0), but the call gave 1 input";
  const Tensor x = Tensor::ones({1, 2});
  const TwoInputs net;
  CHECK(net({x, x})[0].at({0, 1}) == 2);
  CHECK(message([&] { net(x); }) == said);
  CHECK(message([&] { net({x}); }) == said);
  CHECK(message([&] { trace(net, x); }) == said);

  struct Outer : nn::Module {
    TwoInputs inner;
    SINTER_CHILDREN(inner)
    Tensor forward(const Tensor& x) const override { return inner(x); }
  };
  CHECK(message([&] { Outer()(x); }) == said + " (in inner)");
}

TEST_CASE("an output that a module did not give is an error") {
  const auto y = TwoInputs()({Tensor::ones({1}), Tensor::ones({1})});
  CHECK(y[0].item() == 2);
  CHECK(message([&] { y[1]; }) == "TwoInputs: output 1 (the first is 0) was asked for, but it gave 1 output");
  const std::vector<Tensor> as_before = TwoInputs()({Tensor::ones({1}), Tensor::ones({1})});
  CHECK(as_before.size() == 1);
}

TEST_CASE("what is used but not listed is an error in every call") {
  struct Forgetful : nn::Module {
    Scale listed, forgotten;
    SINTER_CHILDREN(listed)
    Tensor forward(const Tensor& x) const override { return forgotten(listed(x)); }
  };
  const std::string said = "parameter of shape [2] used in mul but not in the module tree: list it in SINTER_CHILDREN";
  const Tensor x = Tensor::ones({1, 2});
  Forgetful net;
  CHECK(message([&] { net(x); }).starts_with(said));
  CHECK_NOTHROW(net.forgotten(x));  // alone it is all there is
  CHECK(message([&] { net(x); }).starts_with(said));
  {
    const NoGrad no_grad;
    CHECK(message([&] { net(x); }).starts_with(said));
  }
  net.forgotten.scale.tensor().set_requires_grad(false);  // a frozen part may be nobody's
  CHECK_NOTHROW(net(x));

  struct Bare : nn::Module {
    Parameter scale{Tensor::ones({2})};
    SINTER_CHILDREN()
    Tensor forward(const Tensor& x) const override { return x * scale.tensor(); }
  };
  CHECK(message([&] { Bare()(x); }).starts_with(said));
  // An input that wants a gradient is no parameter.
  Tensor wanted = Tensor::ones({1, 2});
  wanted.set_requires_grad(true);
  CHECK_NOTHROW(Net()(wanted));

  struct Student : nn::Module {
    Scale own;
    const Scale* teacher;
    SINTER_CHILDREN(own)
    Tensor forward(const Tensor& x) const override {
      Tensor taught;
      {
        const NoGrad no_grad;
        taught = (*teacher)(x);
      }
      return own(x) - taught;
    }
  };
  const Scale teacher;
  Student student;
  student.teacher = &teacher;
  CHECK_NOTHROW(student(x));
}

TEST_CASE("what is frozen is frozen in copies of the module, in lists and in its graph") {
  Net net;
  net.first.scale.tensor().set_requires_grad(false);
  const auto frozen = [](const std::vector<NamedParameter>& parameters) {
    Names all;
    for (const NamedParameter& p : parameters)
      if (p.value.trained() && !p.value.tensor().requires_grad()) all.push_back(p.name);
    return all;
  };
  const Names expected{"first.scale"};
  CHECK(frozen(Net(net).named_state()) == expected);
  std::vector<Net> many(1, net);
  for (int i = 0; i < 3; ++i) many.push_back(net);
  for (const Net& one : many) CHECK(frozen(one.named_state()) == expected);
  Net assigned;
  assigned = net;
  CHECK(frozen(assigned.named_state()) == expected);
  CHECK(frozen(nn::Sequential(nn::Sequential(net)).named_state()) == Names{"0.first.scale"});
  const Graph graph = trace(net, Tensor::zeros({1, 2}));
  CHECK(frozen(graph.parameters) == expected);
  CHECK(frozen(Graph(graph).parameters) == expected);
  CHECK(frozen(fuse_batch_norm(Graph(graph)).parameters) == expected);
}

TEST_CASE("a state of another network is refused in a few lines") {
  struct Large : nn::Module {
    std::vector<Scale> body = std::vector<Scale>(30);
    SINTER_CHILDREN(body)
    Tensor forward(const Tensor& x) const override { return x; }
  };
  Net net;
  const std::string said = message([&] { net.load_state(Large().named_state()); });
  CHECK(std::count(said.begin(), said.end(), '\n') == 6);
  CHECK(said.ends_with("\n  and 54 more"));
}
