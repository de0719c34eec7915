#include <doctest/doctest.h>

#include "../../core/fuse.h"
#include "../../core/ops/adaptive_avg_pool2d.h"
#include "../../core/ops/arithmetic.h"
#include "../../core/ops/concat.h"
#include "../../core/ops/gelu.h"
#include "../../core/ops/hardsigmoid.h"
#include "../../core/ops/hardswish.h"
#include "../../core/ops/mish.h"
#include "../../core/ops/prelu.h"
#include "../../core/ops/reduce.h"
#include "../../core/ops/relu.h"
#include "../../core/ops/relu6.h"
#include "../../core/ops/sigmoid.h"
#include "../../core/ops/silu.h"
#include "../../core/ops/slice.h"
#include "../../core/ops/softsign.h"
#include "../../core/ops/tanh.h"
#include "../../core/random.h"
#include "../../nn/layers/adaptive_avg_pool2d.h"
#include "../../nn/layers/avg_pool2d.h"
#include "../../nn/layers/bottleneck_block.h"
#include "../../nn/layers/channel_shuffle.h"
#include "../../nn/layers/conv_transpose2d.h"
#include "../../nn/layers/dense_block.h"
#include "../../nn/layers/dropout.h"
#include "../../nn/layers/elu.h"
#include "../../nn/layers/flatten.h"
#include "../../nn/layers/gelu.h"
#include "../../nn/layers/group_norm.h"
#include "../../nn/layers/hardsigmoid.h"
#include "../../nn/layers/hardswish.h"
#include "../../nn/layers/identity.h"
#include "../../nn/layers/inverted_residual.h"
#include "../../nn/layers/layer_norm.h"
#include "../../nn/layers/leaky_relu.h"
#include "../../nn/layers/linear.h"
#include "../../nn/layers/max_pool2d.h"
#include "../../nn/layers/mish.h"
#include "../../nn/layers/multi_head_attention.h"
#include "../../nn/layers/pixel_shuffle.h"
#include "../../nn/layers/preact_block.h"
#include "../../nn/layers/prelu.h"
#include "../../nn/layers/relu.h"
#include "../../nn/layers/relu6.h"
#include "../../nn/layers/resize.h"
#include "../../nn/layers/sequential.h"
#include "../../nn/layers/shuffle_unit.h"
#include "../../nn/layers/sigmoid.h"
#include "../../nn/layers/silu.h"
#include "../../nn/layers/softmax.h"
#include "../../nn/layers/softplus.h"
#include "../../nn/layers/softsign.h"
#include "../../nn/layers/tanh.h"
#include "../../nn/layers/transformer_block.h"
#include "../support.h"

using namespace sinter;

static_assert(!std::is_default_constructible_v<nn::Conv2dOptions>);  // no silent defaults for what is required
static_assert(!std::is_default_constructible_v<nn::Conv2d>);
static_assert(!std::is_convertible_v<double, Required<int64_t>>);
static_assert(!std::is_default_constructible_v<nn::MaxPool2d>);
static_assert(!std::is_default_constructible_v<nn::AvgPool2d>);
static_assert(std::is_nothrow_move_constructible_v<nn::BasicBlock>);  // vectors of blocks grow without cloning
static_assert(std::is_nothrow_move_constructible_v<nn::Sequential>);
static_assert(std::is_nothrow_move_constructible_v<nn::InvertedResidual>);
static_assert(std::is_nothrow_move_constructible_v<nn::TransformerBlock>);

namespace {

template <class Block>
void check_block(const test::GoldenCase& c) {
  INFO(c.name);
  Block block{
      {.in = c.attribute<int64_t>("in"), .out = c.attribute<int64_t>("out"), .stride = c.attribute<int64_t>("stride")}};
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
  for (const NamedParameter& p : block.parameters()) {
    INFO(p.name);
    CHECK_CLOSE(p.value.tensor().grad(), c.gradient(p.name), 1e-4, 1e-5);
  }
  for (const NamedParameter& p : block.named_state()) {
    INFO(p.name);
    if (!p.value.trained()) CHECK_CLOSE(p.value.tensor(), c.output(p.name), 1e-5, 1e-6);
  }
}

}  // namespace

TEST_CASE("residual blocks compute what PyTorch's compute, and their running statistics move as there") {
  for (const auto& c : test::golden("layers")) {
    if (c.name.starts_with("block")) check_block<nn::BasicBlock>(c);
    if (c.name.starts_with("bottleneck")) check_block<nn::BottleneckBlock>(c);
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

TEST_CASE("transposed convolutions take a size for each axis, and their weights come as a convolution's do") {
  const nn::ConvTranspose2d conv{{.in = 4,
                                  .out = 6,
                                  .kernel = {1, 3},
                                  .stride = {2, 1},
                                  .padding = {0, 1},
                                  .output_padding = {1, 0},
                                  .groups = 2}};
  CHECK(conv.weight.tensor().shape() == Shape{6, 1, 3, 2});
  CHECK(conv.bias.tensor().shape() == Shape{6});
  CHECK(conv(Tensor::zeros({1, 8, 8, 4})).shape() == Shape{1, 16, 8, 6});
  const Tensor x = test::normal({2, 3, 3, 4});
  CHECK_SAME(conv(x), conv_transpose2d(x, conv.weight, conv.bias, conv.attributes));
  const nn::ConvTranspose2d plain{{.in = 1, .out = 1, .kernel = 3, .bias = false}};
  CHECK(plain.parameters().size() == 1);
}

TEST_CASE("a PReLU learns a slope for each channel, or one") {
  const nn::PReLU one, each{{.channels = 3, .start = 0.5}};
  CHECK_SAME(one.weight.tensor(), Tensor::full({1}, 0.25));
  CHECK_SAME(each.weight.tensor(), Tensor::full({3}, 0.5));
  CHECK(each.parameters().size() == 1);
  const Tensor x = test::normal({2, 6, 6, 3});
  CHECK_SAME(each(x), prelu(x, each.weight));
  each(x).backward(Tensor::ones(x.shape()));
  CHECK(each.weight.tensor().grad().shape() == Shape{3});
}

TEST_CASE("a dropout layer drops in training only") {
  nn::Dropout layer{{.p = 0.25}};
  const Tensor x = Tensor::ones({100});
  manual_seed(1);
  const Tensor y = layer(x);
  CHECK(!test::difference(y, x).empty());
  manual_seed(1);
  const TrainingMode mode(true);
  CHECK_SAME(dropout(x, {.p = 0.25}), y);
  layer.eval();
  CHECK_SAME(layer(x), x);
}

TEST_CASE("a linear layer without bias is a matrix product") {
  const nn::Linear linear{{.in = 2, .out = 1, .bias = false}};
  const auto w = linear.weight.tensor().values<float>();
  CHECK_CLOSE(linear(Tensor::from({1, 2}, {3, 4})), Tensor::from({1, 1}, {3 * w[0] + 4 * w[1]}));
}

TEST_CASE("layers without parameters are the operations of their names") {
  const Tensor x = test::normal({2, 6, 6, 3}, 1, 5);
  CHECK_SAME(nn::ReLU{}(x), relu(x));
  CHECK_SAME(nn::ReLU6{}(x), relu6(x));
  CHECK_SAME(nn::Sigmoid{}(x), sigmoid(x));
  CHECK_SAME(nn::SiLU{}(x), silu(x));
  CHECK_SAME(nn::Hardswish{}(x), hardswish(x));
  CHECK_SAME(nn::Hardsigmoid{}(x), hardsigmoid(x));
  CHECK_SAME(nn::Tanh{}(x), tanh(x));
  CHECK_SAME(nn::LeakyReLU{}(x), leaky_relu(x, {.negative_slope = 0.01}));
  CHECK_SAME((nn::LeakyReLU{{.negative_slope = 0.1}}(x)), leaky_relu(x, {.negative_slope = 0.1}));
  CHECK_SAME((nn::Resize{{.scale = {2, 1.5}}}(x)), resize_nearest(x, {2, 1.5}));
  CHECK_SAME((nn::Resize{{.size = {3, 4}, .mode = "bilinear"}}(x)), resize(x, {.size = {3, 4}, .mode = "bilinear"}));
  CHECK_SAME((nn::PixelShuffle{{.upscale = 1}}(x)), x);
  CHECK_SAME(nn::Softmax{}(x), softmax(x));
  CHECK_SAME((nn::Softmax{{.axis = 1}}(x)), softmax(x, 1));
  CHECK(nn::Flatten{}(x).shape() == Shape{2, 108});
  CHECK((nn::Flatten{{.start_axis = 2}}(x)).shape() == Shape{2, 6, 18});
  CHECK_SAME((nn::MaxPool2d{{.kernel = 3, .stride = {1, 2}, .padding = 1, .dilation = 2, .ceil_mode = true}}(x)),
             max_pool2d(x, {.kernel = 3, .stride = {1, 2}, .padding = 1, .dilation = 2, .ceil_mode = true}));
  const AvgPoolAttributes average{
      .kernel = 3, .stride = {1, 2}, .padding = 1, .ceil_mode = true, .count_include_pad = false};
  CHECK_SAME(nn::AvgPool2d{average}(x), avg_pool2d(x, average));
  CHECK_SAME((nn::AdaptiveAvgPool2d{{4, 3}}(x)), adaptive_avg_pool2d(x, {4, 3}));
  CHECK_SAME(nn::GELU{}(x), gelu(x));
  CHECK_SAME((nn::GELU{{.approximate = "tanh"}}(x)), gelu(x, {.approximate = "tanh"}));
  CHECK_SAME((nn::ELU{{.alpha = 0.5}}(x)), elu(x, {.alpha = 0.5}));
  CHECK_SAME((nn::Softplus{{.beta = 2}}(x)), softplus(x, {.beta = 2}));
  CHECK_SAME(nn::Mish{}(x), mish(x));
  CHECK_SAME(nn::Softsign{}(x), softsign(x));
}

TEST_CASE("a layer normalisation learns a weight and a bias for each channel; an identity is its input") {
  const nn::LayerNorm layer(3);
  const Tensor x = test::normal({2, 4, 3}, 1, 5);
  CHECK(layer.parameters().size() == 2);
  CHECK_SAME(layer(x), layer_norm(x, layer.weight, layer.bias));
  CHECK(layer.title() == "LayerNorm(3)");
  CHECK_ERROR(nn::LayerNorm(0), "LayerNorm: it has 0 channels, expected at least 1");
  CHECK_SAME(nn::Identity{}(x), x);
  CHECK(nn::Identity{}.title() == "Identity");
}

TEST_CASE("a channel shuffle takes the channels of its groups by turns") {
  const nn::ChannelShuffle two(2), three(3);
  const Tensor x = Tensor::from({1, 1, 1, 6}, {0, 1, 2, 3, 4, 5});
  CHECK_SAME(two(x), Tensor::from({1, 1, 1, 6}, {0, 3, 1, 4, 2, 5}));
  CHECK_SAME(three(x), Tensor::from({1, 1, 1, 6}, {0, 2, 4, 1, 3, 5}));
  CHECK_SAME(three(two(x)), x);
  CHECK_ERROR(nn::ChannelShuffle(4)(x),
              "ChannelShuffle: input is [1,1,1,6], expected [N,H,W,C] with C a multiple of 4");
  CHECK_ERROR(nn::ChannelShuffle(0), "ChannelShuffle: groups is 0, expected at least 1");
}

TEST_CASE("squeeze and excitation multiplies each channel with a number of its image") {
  const Tensor x = test::normal({2, 3, 5, 4});
  const nn::SqueezeExcite plain{{.channels = 4, .squeezed = 2}};
  CHECK(plain.parameters().size() == 4);
  const Tensor squeezed = relu(plain.squeeze(mean(x, {1, 2}, true)));
  CHECK_SAME(plain(x), x * hardsigmoid(plain.excite(squeezed)));
  // Functions of one's own, also those that remember something.
  const double factor = 0.5;
  nn::SqueezeExcite own{{.channels = 4, .squeezed = 2, .activation = silu, .gate = [factor](const Tensor& y) {
                           return sigmoid(y) * factor;
                         }}};
  const nn::SqueezeExcite copy = own;
  const Tensor expected = x * (sigmoid(own.excite(silu(own.squeeze(mean(x, {1, 2}, true))))) * factor);
  CHECK_SAME(own(x), expected);
  CHECK_SAME(copy(x), expected);
  CHECK_ERROR((nn::SqueezeExcite{{.channels = 4, .squeezed = 2, .activation = nullptr}}),
              "SqueezeExcite: it has no activation");
  CHECK_ERROR((nn::SqueezeExcite{{.channels = 4, .squeezed = 0}}), "Conv2d: it has 4 input and 0 output channels");
}

TEST_CASE("an inverted residual has the channels, the kernel and the squeeze and excitation of its options") {
  const nn::InvertedResidual v2{{.in = 4, .out = 4}};
  CHECK(v2.expand->weight.tensor().shape() == Shape{24, 1, 1, 4});
  CHECK(!v2.squeeze_excite);
  const nn::InvertedResidual wide{
      {.in = 4, .out = 6, .stride = 2, .hidden = 10, .kernel = 5, .activation = hardswish, .squeezed = 3}};
  CHECK(wide.depthwise.weight.tensor().shape() == Shape{10, 5, 5, 1});
  CHECK(wide.squeeze_excite->squeeze.weight.tensor().shape() == Shape{3, 1, 1, 10});
  CHECK(wide(test::normal({2, 9, 8, 4})).shape() == Shape{2, 5, 4, 6});
  const nn::InvertedResidual narrow{{.in = 4, .out = 4, .hidden = 4}};  // nothing to widen, but an input to add
  CHECK(!narrow.expand);
  const Tensor x = test::normal({2, 5, 5, 4});
  const nn::ModeOverride evaluation(false);
  CHECK_SAME(narrow(x), x + narrow.project_bn(narrow.project(relu6(narrow.depthwise_bn(narrow.depthwise(x))))));
  CHECK_ERROR((nn::InvertedResidual{{.in = 4, .out = 4, .kernel = 2}}),
              "InvertedResidual: kernel is 2, expected an odd number");
  CHECK_ERROR((nn::InvertedResidual{{.in = 4, .out = 4, .activation = nullptr}}),
              "InvertedResidual: it has no activation");
  CHECK_ERROR((nn::InvertedResidual{{.in = 4, .out = 4, .hidden = 0}}), "Conv2d: it has 0 input and 0 output channels");
}

TEST_CASE("shuffle units, dense blocks and pre-activation blocks give the shapes that they say") {
  const Tensor x = test::normal({2, 6, 8, 4});
  const nn::ShuffleUnit same{{.in = 4, .out = 4}}, wider{{.in = 4, .out = 6}},
      smaller{{.in = 4, .out = 6, .stride = 2}};
  CHECK(same(x).shape() == x.shape());
  CHECK_SAME(slice(same(x), {.step = 2}), slice(x, {.end = 2}));  // the half that stays
  CHECK(wider(x).shape() == Shape{2, 6, 8, 6});
  CHECK(smaller(x).shape() == Shape{2, 3, 4, 6});
  CHECK_ERROR((nn::ShuffleUnit{{.in = 4, .out = 5}}), "ShuffleUnit: it has 5 output channels, expected an even number");

  const nn::DenseBlock dense{{.in = 4, .growth = 3, .layers = 2}};
  CHECK(dense(x).shape() == Shape{2, 6, 8, 10});
  CHECK_SAME(slice(dense(x), {.end = 4}), x);  // the input, then what each layer gives
  CHECK_SAME(slice(dense(x), {.begin = 4, .end = 7}), dense.layers[0](x));
  CHECK(nn::DenseTransition{{.in = 4, .out = 5}}(x).shape() == Shape{2, 3, 4, 5});

  const nn::PreActBlock block{{.in = 4, .out = 4}}, first{{.in = 4, .out = 4, .activated = true}},
      half{{.in = 4, .out = 6, .stride = 2}};
  CHECK(!block.shortcut);
  CHECK(first.parameters().size() + 2 == block.parameters().size());
  CHECK(block(x).shape() == x.shape());
  CHECK(half(x).shape() == Shape{2, 3, 4, 6});
}

TEST_CASE("attention mixes the values of all tokens, each head its channels") {
  nn::MultiHeadAttention attention{{.channels = 6, .heads = 2}};
  const Tensor x = test::normal({2, 5, 6});
  CHECK(attention(x).shape() == x.shape());
  // Without queries all tokens weigh alike.
  attention.query.weight.tensor().copy_from(Tensor::zeros({6, 6}));
  attention.query.bias.tensor().copy_from(Tensor::zeros({6}));
  CHECK_CLOSE(attention(x), attention.out(mean(attention.value(x), {1}, true) + Tensor::zeros(x.shape())), 1e-5, 1e-6);
  CHECK_ERROR(attention(test::normal({5, 6})), "MultiHeadAttention: input is [5,6], expected [N,tokens,channels]");
  CHECK_ERROR((nn::MultiHeadAttention{{.channels = 6, .heads = 4}}),
              "MultiHeadAttention: 4 heads do not divide 6 channels");
  CHECK_ERROR((nn::MultiHeadAttention{{.channels = 6, .heads = 0}}), "MultiHeadAttention: 0 heads");

  const nn::TransformerBlock block{{.channels = 6, .heads = 3, .hidden = 8}};
  const Tensor y = x + block.attention(block.norm1(x));
  CHECK_SAME(block(x), y + block.contract(gelu(block.expand(block.norm2(y)))));
}

TEST_CASE("a group normalisation learns a weight and a bias for each channel") {
  const nn::GroupNorm layer{{.groups = 2, .channels = 6}};
  const Tensor x = test::normal({2, 4, 4, 6}, 1, 5);
  CHECK(layer.parameters().size() == 2);
  CHECK_SAME(layer(x), group_norm(x, layer.weight, layer.bias, {.groups = 2}));
  CHECK(layer.title() == "GroupNorm(groups=2, channels=6)");
  CHECK_ERROR((nn::GroupNorm{{.groups = 4, .channels = 6}}), "GroupNorm: 4 groups do not divide 6 channels");
  CHECK_ERROR((nn::GroupNorm{{.groups = 0, .channels = 6}}), "group_norm: ");
}

TEST_CASE("layers say in one line what they do") {
  CHECK(nn::GELU{}.title() == "GELU");
  CHECK(nn::GELU{{.approximate = "tanh"}}.title() == "GELU(approximate=tanh)");
  CHECK(nn::ELU{}.title() == "ELU(alpha=1)");
  CHECK(nn::Softplus{{.beta = 2}}.title() == "Softplus(beta=2)");
  CHECK(nn::Mish{}.title() == "Mish");
  CHECK(nn::Softsign{}.title() == "Softsign");
  CHECK(nn::AdaptiveAvgPool2d{7}.title() == "AdaptiveAvgPool2d(size=7x7)");
  CHECK(nn::ReLU{}.title() == "ReLU");
  CHECK(nn::ReLU6{}.title() == "ReLU6");
  CHECK(nn::Sigmoid{}.title() == "Sigmoid");
  CHECK(nn::SiLU{}.title() == "SiLU");
  CHECK(nn::Hardswish{}.title() == "Hardswish");
  CHECK(nn::Hardsigmoid{}.title() == "Hardsigmoid");
  CHECK(nn::Tanh{}.title() == "Tanh");
  CHECK(nn::LeakyReLU{{.negative_slope = 0.1}}.title() == "LeakyReLU(negative_slope=0.1)");
  CHECK(nn::PReLU{{.channels = 8}}.title() == "PReLU(8)");
  CHECK(nn::ChannelShuffle(2).title() == "ChannelShuffle(groups=2)");
  CHECK(nn::PixelShuffle{{.upscale = 3}}.title() == "PixelShuffle(upscale=3)");
  CHECK(nn::Dropout{}.title() == "Dropout(p=0.5)");
  CHECK(nn::Resize{{.scale = {2, 1.5}}}.title() == "Resize(scale=2x1.5, mode=nearest)");
  CHECK(nn::Resize{{.size = 32, .mode = "bilinear", .align_corners = true}}.title() ==
        "Resize(size=32x32, mode=bilinear, align_corners=true)");
  CHECK(nn::ConvTranspose2d{{.in = 8, .out = 4, .kernel = 2}}.title() == "ConvTranspose2d(8 -> 4, kernel=2x2)");
  CHECK(nn::ConvTranspose2d{{.in = 8,
                             .out = 4,
                             .kernel = 3,
                             .stride = 2,
                             .padding = 1,
                             .output_padding = 1,
                             .dilation = {1, 2},
                             .groups = 2,
                             .bias = false}}
            .title() ==
        "ConvTranspose2d(8 -> 4, kernel=3x3, stride=2x2, padding=1x1, output_padding=1x1, dilation=1x2, groups=2, "
        "bias=false)");
  CHECK(nn::Flatten{}.title() == "Flatten");
  CHECK(nn::Flatten{{.start_axis = 2}}.title() == "Flatten(start_axis=2)");
  CHECK(nn::Softmax{}.title() == "Softmax");
  CHECK(nn::Softmax{{.axis = 1}}.title() == "Softmax(axis=1)");
  CHECK(nn::MaxPool2d{{.kernel = 2}}.title() == "MaxPool2d(kernel=2x2)");
  CHECK(nn::MaxPool2d{{.kernel = 3, .stride = 2, .padding = 1, .dilation = 2, .ceil_mode = true}}.title() ==
        "MaxPool2d(kernel=3x3, stride=2x2, padding=1x1, dilation=2x2, ceil_mode=true)");
  CHECK(nn::AvgPool2d{{.kernel = {2, 1}}}.title() == "AvgPool2d(kernel=2x1)");
  CHECK(
      nn::AvgPool2d{{.kernel = 3, .stride = 2, .padding = 1, .ceil_mode = true, .count_include_pad = false}}.title() ==
      "AvgPool2d(kernel=3x3, stride=2x2, padding=1x1, ceil_mode=true, count_include_pad=false)");
}

TEST_CASE("a network of such layers runs and traces at any batch size") {
  const nn::Sequential net{nn::Conv2d{{.in = 1, .out = 4, .kernel = 3, .padding = 1}},
                           nn::ReLU{},
                           nn::MaxPool2d{{.kernel = 2}},
                           nn::ReLU6{},
                           nn::AvgPool2d{{.kernel = 2}},
                           nn::Flatten{},
                           nn::Linear{{.in = 16, .out = 3}},
                           nn::Softmax{}};
  const Graph graph = trace(net, Tensor::zeros({1, 8, 8, 1}));
  CHECK(graph.nodes[2].name == "2");
  CHECK(graph.nodes[2].op->name() == "max_pool2d");
  const Tensor x = test::normal({3, 8, 8, 1});
  CHECK(net(x).shape() == Shape{3, 3});
  CHECK_SAME(graph(x), net(x));
}

// Squeeze-and-excitation, a branch of half of the channels, and a decoder: what deployed networks have besides.
struct Decoder : nn::Module {
  nn::Conv2d stem{{.in = 3, .out = 8, .kernel = 3, .stride = 2, .padding = 1, .bias = false}};
  nn::BatchNorm2d bn{8};
  nn::Conv2d squeeze{{.in = 8, .out = 4, .kernel = 1}}, excite{{.in = 4, .out = 8, .kernel = 1}};
  nn::PReLU prelu{{.channels = 4}};
  nn::ConvTranspose2d up{{.in = 8, .out = 8, .kernel = 2, .stride = 2, .bias = false}};
  nn::BatchNorm2d up_bn{8};
  nn::Sequential head{nn::Dropout{{.p = 0.2}},
                      nn::Conv2d{{.in = 11, .out = 8, .kernel = 1}},
                      nn::LeakyReLU{},
                      nn::PixelShuffle{{.upscale = 2}},
                      nn::Tanh{},
                      nn::Resize{{.scale = 1.5, .mode = "bilinear"}}};
  SINTER_CHILDREN(stem, bn, squeeze, excite, prelu, up, up_bn, head)

  Tensor forward(const Tensor& x) const override {
    Tensor y = hardswish(bn(stem(x)));
    y = y * hardsigmoid(excite(silu(squeeze(mean(y, {1, 2}, true)))));
    const auto halves = split(y, {.count = 2});
    y = concat({prelu(halves[0]), sigmoid(halves[1])});
    return head(concat({relu(up_bn(up(y))), resize_nearest(slice(x, {.axis = 1, .step = 2}), {2, 1})}));
  }
};

TEST_CASE("a network of all other layers traces, and its fused graph computes the same in evaluation and training") {
  manual_seed(1);
  const Decoder net;
  const Graph graph = trace(net, Tensor::zeros({1, 8, 6, 3})), fused = fuse_batch_norm(graph);
  CHECK(graph.parameters.size() == net.named_state().size());
  CHECK(fused.nodes.size() == graph.nodes.size() - 2);  // the first convolution's normalisation and the ReLU
  const Tensor x = test::normal({3, 8, 6, 3});
  for (const bool training : {false, true}) {
    const nn::ModeOverride module_mode(training);
    const TrainingMode graph_mode(training);
    const auto run = [&](const auto& f) {
      manual_seed(7);
      const Tensor y = f(x);
      y.backward(test::normal(y.shape(), 2));
      std::vector<Tensor> all{y};
      for (const NamedParameter& p : net.parameters()) {
        all.push_back(p.value.tensor().grad());
        Tensor(p.value.tensor()).set_grad({});
      }
      return all;
    };
    const auto expected = run(net);
    CHECK(expected[0].shape() == Shape{3, 24, 18, 2});
    for (const auto& actual : {run(graph), run(fused)})
      for (size_t i = 0; i < expected.size(); ++i) CHECK_SAME(actual[i], expected[i]);
  }
}

TEST_CASE("layers refuse options that make no sense") {
  CHECK_ERROR(nn::AdaptiveAvgPool2d{0}, "AdaptiveAvgPool2d: size is 0x0, expected at least 1");
  CHECK_ERROR((nn::GELU{{.approximate = "fast"}}), "gelu: ");
  CHECK_ERROR((nn::Conv2d{{.in = 0, .out = 1, .kernel = 1}}),
              "Conv2d: it has 0 input and 1 output channels, expected at least 1 of each");
  CHECK_ERROR((nn::Conv2d{{.in = 1, .out = 1, .kernel = 0}}), "Conv2d: kernel is 0x0, expected at least 1");
  CHECK_ERROR((nn::Conv2d{{.in = 1, .out = 1, .kernel = 1, .padding = -1}}),
              "Conv2d: padding is -1x-1, expected at least 0");
  CHECK_ERROR((nn::Conv2d{{.in = 4, .out = 6, .kernel = 1, .groups = 4}}),
              "Conv2d: 4 groups do not divide 4 input and 6 output channels");
  CHECK_ERROR((nn::ConvTranspose2d{{.in = 1, .out = 0, .kernel = 1}}),
              "ConvTranspose2d: it has 1 input and 0 output channels, expected at least 1 of each");
  CHECK_ERROR((nn::ConvTranspose2d{{.in = 1, .out = 1, .kernel = 1, .stride = 0}}),
              "ConvTranspose2d: stride is 0x0, expected at least 1");
  CHECK_ERROR((nn::ConvTranspose2d{{.in = 1, .out = 1, .kernel = 1, .output_padding = 1}}),
              "ConvTranspose2d: output_padding is 1x1, expected 0 or more and less than the stride 1x1");
  CHECK_ERROR((nn::BottleneckBlock{{.in = 8, .out = 6}}),
              "BottleneckBlock: it has 6 output channels, expected a multiple of 4");
  CHECK_ERROR((nn::PReLU{{.channels = 0}}), "PReLU: it has 0 channels, expected at least 1");
  CHECK_ERROR((nn::Dropout{{.p = 1}}), "dropout: p is 1, expected 0 <= p < 1");
  CHECK_ERROR((nn::LeakyReLU{{.negative_slope = -1}}), "leaky_relu: negative_slope is -1, expected 0 or more");
  CHECK_ERROR((nn::Resize{{}}), "resize: it needs a scale or a size, and not both");
  CHECK_ERROR((nn::PixelShuffle{{.upscale = 0}}), "pixel_shuffle: upscale is 0, expected 1 to 32768");
  CHECK_ERROR((nn::Linear{{.in = 2, .out = -1}}),
              "Linear: it has 2 inputs and -1 outputs, expected at least 1 of each");
  CHECK_ERROR((nn::MaxPool2d{{.kernel = 2, .padding = 2}}),
              "max_pool2d: padding is 2x2, expected at most half of the kernel 2x2");
  CHECK_ERROR((nn::AvgPool2d{{.kernel = 2, .stride = -1}}), "avg_pool2d: stride is -1x-1, expected at least 1");
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

namespace {

// (f(w + h) - f(w - h)) / 2h through a pointer from before any forward pass, against the gradient.
void check_early_pointer(const nn::Module& layer, Parameter weight, const Shape& input) {
  const Tensor x = test::normal(input, 3);
  Tensor handle = weight.tensor();
  float* w = handle.mutable_data<float>();
  const auto loss = [&] {
    const Tensor y = layer(x);
    return sum(y * y);
  };
  handle.set_grad({});
  loss().backward();
  const Tensor gradient = handle.grad();
  for (const int64_t i : {int64_t{0}, handle.elements() / 2, handle.elements() - 1}) {
    CAPTURE(i);
    const float before = w[i], h = 1e-2F;
    w[i] = before + h;
    const float above = loss().item();
    w[i] = before - h;
    const float below = loss().item();
    w[i] = before;
    CHECK((above - below) / (2 * h) == doctest::Approx(gradient.data<float>()[i]).epsilon(0.02));
  }
}

}  // namespace

TEST_CASE("what is written through a pointer from before a forward pass counts") {
  const nn::Conv2d conv{{.in = 8, .out = 8, .kernel = 3, .bias = false}};
  Tensor weight = conv.weight.tensor();
  weight.copy_from(Tensor::ones({8, 3, 3, 8}));
  const Tensor x = Tensor::ones({1, 3, 3, 8});
  float* w = weight.mutable_data<float>();
  CHECK(conv(x).data<float>()[0] == 72);
  w[0] = 2;
  CHECK(conv(x).data<float>()[0] == 73);

  manual_seed(1);
  const nn::Conv2d plain{{.in = 8, .out = 16, .kernel = 3}}, grouped{{.in = 8, .out = 16, .kernel = 3, .groups = 2}},
      depthwise{{.in = 16, .out = 16, .kernel = 3, .groups = 16}};
  const nn::ConvTranspose2d transposed{{.in = 8, .out = 16, .kernel = 3, .stride = 2}};
  const nn::Linear linear{{.in = 32, .out = 16}};
  check_early_pointer(plain, plain.weight.share(), {2, 6, 6, 8});
  check_early_pointer(grouped, grouped.weight.share(), {2, 6, 6, 8});
  check_early_pointer(depthwise, depthwise.weight.share(), {2, 6, 6, 16});
  check_early_pointer(transposed, transposed.weight.share(), {2, 6, 6, 8});
  check_early_pointer(linear, linear.weight.share(), {4, 32});
}

TEST_CASE("what is written through an early pointer counts in a fused graph, too") {
  manual_seed(2);
  nn::Sequential net{nn::Conv2d{{.in = 8, .out = 16, .kernel = 3, .bias = false}}, nn::BatchNorm2d{16}, nn::ReLU{}};
  net.eval();
  Tensor weight = net.parameters()[0].value.tensor();
  float* w = weight.mutable_data<float>();
  const Tensor x = test::normal({2, 6, 6, 8}, 3);
  const Graph graph = fuse_batch_norm(trace(net, x));
  const Tensor before = graph(x);
  for (int64_t i = 0; i < weight.elements(); ++i) w[i] = -w[i];
  CHECK_SAME(graph(x), net(x));
  CHECK(!test::difference(graph(x), before, 0, 0.1).empty());
}
