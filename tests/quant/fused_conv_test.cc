#include "../../quant/fused_conv.h"

#include "../../core/ops/conv_transpose2d.h"
#include "../../core/ops/linear.h"
#include "networks.h"

using namespace sinter;
using namespace sinter::quant;

namespace {

Tensor fused(const FusedConvAttributes& a, const std::vector<Tensor>& x) {
  return call_all(std::make_shared<FusedConv>(a), x)[0];
}

// With operations of its own kind each.
Tensor plain(const FusedConvAttributes& a, const std::vector<Tensor>& x) {
  Tensor y = a.linear ? linear(x[0], x[1], x[2])
                      : conv2d(x[0], x[1], x[2],
                               {.stride = a.stride, .padding = a.padding, .dilation = a.dilation, .groups = a.groups});
  if (x.size() == 4) y = y + x[3];
  if (a.activation == "relu") return relu(y);
  return a.activation == "relu6" ? relu6(y) : y;
}

const Tensor kX = test::normal({2, 5, 5, 4}, 1), kWeight = test::normal({6, 3, 3, 4}, 2), kBias = test::normal({6}, 3),
             kSkip = test::normal({2, 5, 5, 6}, 4);

}  // namespace

TEST_CASE("a fused convolution is its parts, and so are its gradients") {
  for (const char* activation : {"none", "relu", "relu6"})
    for (const bool skips : {false, true}) {
      CAPTURE(std::string(activation));
      CAPTURE(skips);
      const FusedConvAttributes a{.padding = 1, .activation = activation};
      std::vector<Tensor> x{kX, kWeight, kBias};
      if (skips) x.push_back(kSkip);
      std::vector<Tensor> theirs, ours;
      for (const Tensor& t : x) {
        theirs.push_back(t.clone().set_requires_grad(true));
        ours.push_back(t.clone().set_requires_grad(true));
      }
      const Tensor expected = plain(a, theirs), actual = fused(a, ours);
      CHECK_CLOSE(actual, expected, 1e-5, 1e-5);
      const Tensor dy = test::normal(expected.shape(), 9);
      expected.backward(dy);
      actual.backward(dy);
      for (size_t i = 0; i < x.size(); ++i) CHECK_CLOSE(ours[i].grad(), theirs[i].grad(), 1e-4, 1e-4);
    }
}

TEST_CASE("a fused linear layer") {
  const FusedConvAttributes a{.linear = true, .activation = "relu"};
  const Tensor x = test::normal({3, 7}, 5), weight = test::normal({4, 7}, 6), bias = test::normal({4}, 7);
  CHECK_CLOSE(fused(a, {x, weight, bias}), plain(a, {x, weight, bias}), 1e-5, 1e-5);
  CHECK_GRADIENT(([&](const std::vector<Tensor>& in) { return fused({.linear = true}, in); }), {x, weight, bias});
}

TEST_CASE("a fused transposed convolution is a transposed convolution, and so are its gradients") {
  const std::vector<FusedConvAttributes> all{
      {.padding = 1, .transposed = true},
      {.stride = 2, .padding = 1, .transposed = true, .output_padding = 1},
      {.stride = {3, 2}, .padding = {0, 4}, .dilation = {1, 2}, .transposed = true, .output_padding = {2, 1}},
      {.stride = 2, .groups = 2, .transposed = true, .activation = "relu"},
      {.stride = 2, .padding = 1, .groups = 4, .transposed = true, .activation = "relu6"}};
  for (const FusedConvAttributes& a : all)
    for (const bool skips : {false, true}) {
      CAPTURE(text(a.stride, a.padding, a.dilation, a.groups));
      CAPTURE(skips);
      const ConvTransposeAttributes apart{.stride = a.stride,
                                          .padding = a.padding,
                                          .output_padding = a.output_padding,
                                          .dilation = a.dilation,
                                          .groups = a.groups};
      const Tensor w = test::normal({8, 3, 3, 4 / a.groups}, 2), b = test::normal({8}, 3);
      std::vector<Tensor> theirs{kX.clone(), w.clone(), b.clone()}, ours{kX.clone(), rotated(w), b.clone()};
      if (skips) {
        const Tensor skip = test::normal(conv_transpose2d(kX, w, b, apart).shape(), 4);
        theirs.push_back(skip.clone());
        ours.push_back(skip.clone());
      }
      for (size_t i = 0; i < ours.size(); ++i) {
        theirs[i].set_requires_grad(true);
        ours[i].set_requires_grad(true);
      }
      Tensor expected = conv_transpose2d(theirs[0], theirs[1], theirs[2], apart);
      if (skips) expected = expected + theirs[3];
      if (a.activation == "relu") expected = relu(expected);
      if (a.activation == "relu6") expected = relu6(expected);
      const Tensor actual = fused(a, ours), dy = test::normal(expected.shape(), 9);
      CHECK_CLOSE(actual, expected, 1e-5, 1e-5);
      expected.backward(dy);
      actual.backward(dy);
      for (size_t i = 0; i < ours.size(); ++i)
        CHECK_CLOSE(i == 1 ? rotated(ours[i].grad()) : ours[i].grad(), theirs[i].grad(), 1e-4, 1e-4);
    }
}

TEST_CASE("a spread image has its values apart, of any type") {
  const FusedConvAttributes a{.stride = {2, 3}, .groups = 2, .transposed = true, .output_padding = {1, 2}};
  const Tensor x = Tensor::from({1, 2, 2, 1}, {1, 2, 3, 4});
  const Tensor expected = Tensor::from({1, 4, 6, 1}, {1, 0, 0, 2, 0, 0,  //
                                                      0, 0, 0, 0, 0, 0,  //
                                                      3, 0, 0, 4, 0, 0,  //
                                                      0, 0, 0, 0, 0, 0});
  const Shape weight{4, 3, 3, 2};  // of two channels a group
  CHECK_SAME(spread(a, x, weight), expected);
  for (const DType type : {DType::int8, DType::int16}) CHECK_SAME(spread(a, x.to(type), weight), expected.to(type));
  CHECK_SAME(rotated(Tensor::from({1, 2, 2, 1}, {1, 2, 3, 4})), Tensor::from({1, 2, 2, 1}, {4, 3, 2, 1}));
}

TEST_CASE("gradients of fused convolutions agree with finite differences") {
  CHECK_GRADIENT(([](const std::vector<Tensor>& x) { return fused({.padding = 1}, x); }), {kX, kWeight, kBias, kSkip});
  // Grouped, with a stride; far from the kinks of the activation.
  const Tensor bias = Tensor::from({4}, {40, -40, 40, 40});
  CHECK_GRADIENT(([](const std::vector<Tensor>& x) {
                   return fused({.stride = 2, .padding = 1, .groups = 2, .activation = "relu"}, x);
                 }),
                 {kX, test::normal({4, 3, 3, 2}, 8), bias});
}

TEST_CASE("NaN survives a fused ReLU") {
  Tensor x = Tensor::ones({1, 1, 1, 1});
  x.mutable_data<float>()[0] = NAN;
  const Tensor y = fused({.activation = "relu"}, {x, Tensor::ones({1, 1, 1, 1}), Tensor::zeros({1})});
  CHECK(std::isnan(y.item()));
}

TEST_CASE("fused convolutions do not depend on threads") {
  const Tensor x = test::normal({4, 16, 16, 4}, 1), skip = test::normal({4, 16, 16, 6}, 2);
  // The gradients of weights may: oneDNN's sums over a batch follow the threads.
  CHECK_THREADS(([](const Tensor& in, const Tensor& added) {
                  return fused({.padding = 1, .activation = "relu"}, {in, kWeight, kBias, added});
                }),
                {x, skip});
}

TEST_CASE("an empty batch passes through a fused convolution and back") {
  const FusedConvAttributes a{.padding = 1, .activation = "relu"};
  Tensor weight = kWeight.clone().set_requires_grad(true), x = Tensor::zeros({0, 5, 5, 4});
  x.set_requires_grad(true);
  const Tensor y = fused(a, {x, weight, kBias});
  CHECK(y.shape() == Shape{0, 5, 5, 6});
  y.backward(Tensor::zeros(y.shape()));
  CHECK_SAME(weight.grad(), Tensor::zeros(kWeight.shape()));
  CHECK(x.grad().shape() == x.shape());
}

TEST_CASE("fused convolutions refuse what does not fit") {
  CHECK_ERROR(fused({}, {kX, kWeight}),
              "conv2d (fused): got 2 inputs, expected x, weight, bias, batch normalisation, skip");
  CHECK_ERROR(fused({.padding = 1}, {kX, kWeight, kBias, kX}),
              "conv2d (fused): the tensor to add is [2,5,5,4], expected [2,5,5,6]");
  CHECK_ERROR(fused({.linear = true}, {kX, kWeight, kBias}),
              "linear (fused): input is [2,5,5,4], weight is [6,3,3,4], expected [N,...,K] and [O,K]");
  CHECK_ERROR(fused({}, {kX, kWeight, Tensor::zeros({5})}), "bias is [5], expected [6]");
  CHECK_ERROR(fused({.padding = 3, .transposed = true}, {kX, kWeight, kBias}),
              "conv_transpose2d (fused): padding is 3x3, more than its kernel reaches");
  CHECK_ERROR(fused({.stride = 2, .transposed = true, .output_padding = 2}, {kX, kWeight, kBias}),
              "output_padding is 2x2, expected 0 or more and less than the stride 2x2");
  CHECK_ERROR(fused({.activation = "gelu"}, {kX, kWeight, kBias}), "activation 'gelu' is unknown");
}

TEST_CASE("multiply-accumulates of a fused convolution") {
  const std::vector<Spec> specs{kX.spec(), kWeight.spec(), kBias.spec()};
  CHECK(FusedConv({.padding = 1}).macs(specs) == 2 * 5 * 5 * 6 * 3 * 3 * 4);
  CHECK(FusedConv({.stride = 2, .transposed = true}).macs(specs) ==
        ops::ConvTranspose2d({.stride = 2}).macs(specs));  // not those with zeros
}
