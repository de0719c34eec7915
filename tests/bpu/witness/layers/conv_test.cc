#include "../../../../quant/fused_conv.h"

#include "../twin.h"

using namespace sinter;
using namespace sinter::test;

namespace {

quant::Instruction conv(const FusedConvAttributes& a, const Tensor& weight, const Tensor& bias, const Tensor& scales) {
  quant::Instruction step = twin_step("conv", quant::FusedConv(a));
  step.weight = weight.to(DType::int8);
  step.bias = bias.to(DType::int32);
  step.weight_scales = scales;
  return step;
}

}  // namespace

TEST_CASE("the witness adds up a convolution's products, its bias and what is added, and rounds once") {
  const auto step = [](const std::string& activation) {
    return conv({.activation = activation}, Tensor::from({2, 1, 1, 2}, {1, 2, 3, -4}), Tensor::from({2}, {10, -1}),
                Tensor::from({2}, {0.5f, 0.25f}));
  };
  const TwinValue x{{1, 1, 1, 2}, 0.5, {3, 5}}, y{{1, 1, 1, 2}, 1};
  // 3 + 10 + 10 = 23 quarters; 9 - 20 - 1 = -12 eighths.
  CHECK(twin_of(step("none"), {x}, y) == Integers{6, -2});  // 5.75, -1.5
  CHECK(twin_of(step("relu"), {x}, y) == Integers{6, 0});
  CHECK(twin_of(step("relu6"), {x}, {{1, 1, 1, 2}, 0.5}) == Integers{12, 0});  // 11.5, whose even neighbour is 12
  // And 3 halves, 1 half.
  CHECK(twin_of(step("none"), {x, {{1, 1, 1, 2}, 0.5, {3, 1}}}, y) == Integers{7, -1});  // 7.25, -1
}

TEST_CASE("the witness moves a kernel over an image, its border and its groups") {
  // A cross of 2x2: 1 2 / 3 4.
  const Tensor kernel = Tensor::from({1, 2, 2, 1}, {1, 2, 3, 4});
  const Tensor zero = Tensor::zeros({1}), one = Tensor::full({1}, 1);
  const TwinValue x{{1, 2, 2, 1}, 1, {1, 2, 3, 5}};
  CHECK(twin_of(conv({}, kernel, zero, one), {x}, {{1, 1, 1, 1}, 1}) == Integers{1 + 4 + 9 + 20});
  CHECK(twin_of(conv({.stride = {2, 1}, .padding = 1}, kernel, zero, one), {x}, {{1, 2, 3, 1}, 1}) ==
        Integers{4, 3 + 8, 6, 2 * 3, 3 + 10, 5});
  // Two groups of one channel.
  CHECK(twin_of(conv({.groups = 2}, Tensor::from({2, 1, 1, 1}, {2, -3}), Tensor::zeros({2}), Tensor::full({2}, 1)),
                {{{1, 1, 2, 2}, 1, {1, 2, 3, 4}}}, {{1, 1, 2, 2}, 1}) == Integers{2, -6, 6, -12});
}

TEST_CASE("the witness's transposed convolution adds a kernel for every value") {
  // The program has the kernel 1 2 / 3 4 turned by half.
  const auto step = conv({.stride = 2, .transposed = true}, Tensor::from({1, 2, 2, 1}, {4, 3, 2, 1}),
                         Tensor::full({1}, 7), Tensor::full({1}, 1));
  CHECK(twin_of(step, {{{1, 1, 2, 1}, 1, {3, -1}}}, {{1, 2, 4, 1}, 1}) ==
        Integers{7 + 3, 7 + 6, 7 - 1, 7 - 2, 7 + 9, 7 + 12, 7 - 3, 7 - 4});
}

TEST_CASE("the witness's linear layer multiplies the last axis") {
  const auto step = conv({.linear = true}, Tensor::from({2, 1, 1, 3}, {1, 0, -1, 2, 2, 2}), Tensor::from({2}, {0, 1}),
                         Tensor::full({2}, 1));
  CHECK(twin_of(step, {{{1, 2, 3}, 1, {1, 2, 3, 4, 5, 6}}}, {{1, 2, 2}, 1}) == Integers{-2, 13, -2, 31});
}
