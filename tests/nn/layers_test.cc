#include <doctest/doctest.h>

#include "../../nn/layers/basic_block.h"
#include "../../nn/layers/linear.h"
#include "../../nn/layers/sequential.h"
#include "../support.h"

using namespace sinter;

static_assert(!std::is_default_constructible_v<nn::Conv2dOptions>);  // no silent defaults for what is required
static_assert(!std::is_default_constructible_v<nn::Conv2d>);
static_assert(!std::is_convertible_v<double, Required<int64_t>>);
static_assert(std::is_nothrow_move_constructible_v<nn::BasicBlock>);  // vectors of blocks grow without cloning
static_assert(std::is_nothrow_move_constructible_v<nn::Sequential>);

TEST_CASE("a residual block computes what PyTorch's computes, and its running statistics move as there") {
  for (const auto& c : test::golden("layers")) {
    if (!c.name.starts_with("block")) continue;
    INFO(c.name);
    nn::BasicBlock block{{.in = c.attribute<int64_t>("in"),
                          .out = c.attribute<int64_t>("out"),
                          .stride = c.attribute<int64_t>("stride")}};
    std::vector<NamedParameter> state;
    for (const auto& [name, value] : c.inputs)
      if (name != "x") state.push_back({name, Parameter(value)});
    block.load_state(state);
    Tensor x = c.input("x").clone().set_requires_grad(true);

    {
      const nn::ModeOverride evaluation(false);
      CHECK_CLOSE(block(x), c.output("eval"), 1e-4, 1e-5);
    }
    const Tensor y = block(x);
    CHECK_CLOSE(y, c.output("train"), 1e-4, 1e-5);
    y.backward(c.gradient("train"));
    CHECK_CLOSE(x.grad(), c.gradient("x"), 1e-4, 1e-5);
    for (const auto& parameter : block.parameters()) {
      INFO(parameter.name);
      CHECK_CLOSE(parameter.value.tensor().grad(), c.gradient(parameter.name), 1e-4, 1e-5);
    }
    for (const auto& state : block.named_state()) {
      INFO(state.name);
      if (!state.value.trained()) CHECK_CLOSE(state.value.tensor(), c.output(state.name), 1e-5, 1e-6);
    }
  }
}

TEST_CASE("evaluation does not move running statistics") {
  nn::BatchNorm2d bn{2};
  const Tensor x = test::normal({4, 3, 3, 2});
  bn.eval();
  const Tensor y = bn(x);
  CHECK_SAME(bn.running_mean.tensor(), Tensor::zeros({2}));
  CHECK_CLOSE(y, x, 1e-4, 1e-5);
  bn.train();
  bn(x);
  CHECK(!test::difference(bn.running_mean.tensor(), Tensor::zeros({2})).empty());
}

TEST_CASE("a shortcut is the input itself where the shape stays") {
  const nn::Shortcut same{{.in = 3, .out = 3}};
  CHECK(same.parameters().empty());
  const Tensor x = test::normal({1, 4, 4, 3});
  CHECK_SAME(same(x), x);
  const nn::Shortcut strided{{.in = 3, .out = 3, .stride = 2}};
  CHECK(strided.parameters().size() == 3);
  CHECK(strided(x).shape() == Shape{1, 2, 2, 3});
}

TEST_CASE("convolutions take a size for each axis") {
  const nn::Conv2d conv{{.in = 4, .out = 6, .kernel = {1, 3}, .stride = {2, 1}, .padding = {0, 1}, .groups = 2}};
  CHECK(conv.weight.tensor().shape() == Shape{6, 1, 3, 2});
  CHECK(conv(Tensor::zeros({1, 8, 8, 4})).shape() == Shape{1, 4, 8, 6});
  const nn::Conv2d plain{{.in = 1, .out = 1, .kernel = 3, .bias = false}};
  CHECK(!plain.bias.defined());
  CHECK(plain.parameters().size() == 1);
}

TEST_CASE("a linear layer without bias is a matrix product") {
  const nn::Linear linear{{.in = 2, .out = 1, .bias = false}};
  const auto w = linear.weight.tensor().values<float>();
  CHECK_CLOSE(linear(Tensor::from({1, 2}, {3, 4})), Tensor::from({1, 1}, {3 * w[0] + 4 * w[1]}));
}

TEST_CASE("layers refuse options that make no sense") {
  CHECK_ERROR((nn::Conv2d{{.in = 0, .out = 1, .kernel = 1}}),
              "Conv2d: it has 0 input and 1 output channels, expected at least 1 of each");
  CHECK_ERROR((nn::Conv2d{{.in = 1, .out = 1, .kernel = 0}}), "Conv2d: kernel is 0x0, expected at least 1");
  CHECK_ERROR((nn::Conv2d{{.in = 1, .out = 1, .kernel = 1, .padding = -1}}),
              "Conv2d: padding is -1x-1, expected at least 0");
  CHECK_ERROR((nn::Conv2d{{.in = 4, .out = 6, .kernel = 1, .groups = 4}}),
              "Conv2d: 4 groups do not divide 4 input and 6 output channels");
  CHECK_ERROR((nn::Linear{{.in = 2, .out = -1}}),
              "Linear: it has 2 inputs and -1 outputs, expected at least 1 of each");
  CHECK_ERROR(nn::BatchNorm2d(0), "BatchNorm2d: it has 0 channels, expected at least 1");
  CHECK_ERROR(nn::BatchNorm2d(1, {.eps = 0}), "BatchNorm2d: eps is 0, expected more than 0");
  CHECK_ERROR(nn::BatchNorm2d(1, {.momentum = 1.5}), "BatchNorm2d: momentum is 1.5, expected 0 to 1");
}

TEST_CASE("a sequence owns copies, runs in order and copies deeply") {
  nn::Linear first{{.in = 3, .out = 4}};
  nn::Sequential seq{first, nn::Linear{{.in = 4, .out = 2}}};
  CHECK(seq.size() == 2);
  CHECK(seq.parameters()[2].name == "1.weight");
  const Tensor x = test::normal({2, 3});
  const Tensor y = seq(x);
  CHECK_SAME(y, seq[1](first(x)));
  CHECK_ERROR(seq[2], "Sequential: there is no module 2 of 2");

  first.weight.tensor().mutable_data<float>()[0] += 1;
  CHECK_SAME(seq(x), y);

  nn::Sequential copy = seq;
  seq.parameters()[0].value.tensor().mutable_data<float>()[0] += 1;
  CHECK_SAME(copy(x), y);
  CHECK(!test::difference(seq(x), y, 0, 0).empty());
  copy = seq;
  CHECK_SAME(copy(x), seq(x));

  copy.add(nn::Linear{{.in = 2, .out = 1}});
  CHECK(copy(x).shape() == Shape{2, 1});
  CHECK(seq.size() == 2);
}
