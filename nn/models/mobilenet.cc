#include "mobilenet.h"

#include "../../core/ops/hardswish.h"
#include "../../core/ops/reduce.h"
#include "../../core/ops/relu.h"
#include "../../core/ops/relu6.h"
#include "channels.h"

namespace sinter::nn {

namespace {

std::vector<SeparableConv> stages(const std::array<int64_t, 6>& strides, double width) {
  constexpr std::array<int64_t, 5> kChannels{64, 128, 256, 512, 1024}, kBlocks{1, 2, 2, 6, 2};
  std::vector<SeparableConv> body;
  int64_t in = rounded_channels(32 * width);
  for (size_t i = 0; i < kChannels.size(); ++i) {
    const int64_t out = rounded_channels(static_cast<double>(kChannels[i]) * width);
    for (int64_t block = 0; block < kBlocks[i]; ++block) {
      body.push_back({{.in = in, .out = out, .stride = block == 0 ? strides[i + 1] : 1}});
      in = out;
    }
  }
  return body;
}

struct Stage {
  int64_t expansion, channels, blocks;
};
constexpr std::array kStages{Stage{1, 16, 1}, Stage{6, 24, 2},  Stage{6, 32, 3}, Stage{6, 64, 4},
                             Stage{6, 96, 3}, Stage{6, 160, 3}, Stage{6, 320, 1}};

std::vector<InvertedResidual> stages(const std::array<int64_t, 8>& strides, double width) {
  std::vector<InvertedResidual> body;
  int64_t in = rounded_channels(32 * width);
  for (size_t i = 0; i < kStages.size(); ++i) {
    const Stage& stage = kStages[i];
    const int64_t out = rounded_channels(static_cast<double>(stage.channels) * width);
    for (int64_t block = 0; block < stage.blocks; ++block) {
      body.push_back({{.in = in, .out = out, .stride = block == 0 ? strides[i + 1] : 1, .expansion = stage.expansion}});
      in = out;
    }
  }
  return body;
}

// A block of MobileNetV3.
struct Row {
  size_t stride;  // which of the constructor's; 0, the stem's: none
  int64_t kernel, hidden, channels;
  bool squeezes;
  ActivationFunction activation;
};

std::vector<InvertedResidual> small_stages(const std::array<int64_t, 5>& strides, double width) {
  const std::array rows{
      Row{1, 3, 16, 16, true, relu},       Row{2, 3, 72, 24, false, relu},      Row{0, 3, 88, 24, false, relu},
      Row{3, 5, 96, 40, true, hardswish},  Row{0, 5, 240, 40, true, hardswish}, Row{0, 5, 240, 40, true, hardswish},
      Row{0, 5, 120, 48, true, hardswish}, Row{0, 5, 144, 48, true, hardswish}, Row{4, 5, 288, 96, true, hardswish},
      Row{0, 5, 576, 96, true, hardswish}, Row{0, 5, 576, 96, true, hardswish}};
  std::vector<InvertedResidual> body;
  int64_t in = rounded_channels(16 * width);
  for (const Row& row : rows) {
    const int64_t hidden = rounded_channels(static_cast<double>(row.hidden) * width);
    const int64_t out = rounded_channels(static_cast<double>(row.channels) * width);
    InvertedResidualOptions o{.in = in,
                              .out = out,
                              .stride = row.stride > 0 ? strides[row.stride] : 1,
                              .hidden = hidden,
                              .kernel = row.kernel,
                              .activation = row.activation};
    if (row.squeezes) o.squeezed = rounded_channels(static_cast<double>(hidden) / 4);
    body.push_back({std::move(o)});
    in = out;
  }
  return body;
}

}  // namespace

MobileNetV1::MobileNetV1(const std::array<int64_t, 6>& strides, const MobileNetV1Options& o)
    : stem({.in = o.in_channels,
            .out = rounded_channels(32 * checked_factor("MobileNetV1", "width", o.width)),
            .kernel = 3,
            .stride = strides[0],
            .padding = 1,
            .bias = false}),
      stem_bn(rounded_channels(32 * o.width)),
      body(stages(strides, o.width)),
      head({.in = rounded_channels(1024 * o.width), .out = o.classes}) {}

Tensor MobileNetV1::forward(const Tensor& x) const {
  Tensor y = relu(stem_bn(stem(x)));
  for (const auto& block : body) y = block(y);
  return head(mean(y, {1, 2}));
}

MobileNetV1 mobilenet_v1(const MobileNetV1Options& options) { return {{2, 1, 2, 2, 2, 2}, options}; }
MobileNetV1 cifar_mobilenet_v1(const MobileNetV1Options& options) { return {{1, 1, 1, 2, 2, 2}, options}; }

MobileNetV2::MobileNetV2(const std::array<int64_t, 8>& strides, const MobileNetV2Options& o)
    : stem({.in = o.in_channels,
            .out = rounded_channels(32 * checked_factor("MobileNetV2", "width", o.width)),
            .kernel = 3,
            .stride = strides[0],
            .padding = 1,
            .bias = false}),
      stem_bn(rounded_channels(32 * o.width)),
      body(stages(strides, o.width)),
      last({.in = rounded_channels(320 * o.width),
            .out = rounded_channels(1280 * std::max(1.0, o.width)),
            .kernel = 1,
            .bias = false}),
      last_bn(rounded_channels(1280 * std::max(1.0, o.width))),
      head({.in = rounded_channels(1280 * std::max(1.0, o.width)), .out = o.classes}) {}

Tensor MobileNetV2::forward(const Tensor& x) const {
  Tensor y = relu6(stem_bn(stem(x)));
  for (const auto& block : body) y = block(y);
  return head(mean(relu6(last_bn(last(y))), {1, 2}));
}

MobileNetV2 mobilenet_v2(const MobileNetV2Options& options) { return {{2, 1, 2, 2, 2, 1, 2, 1}, options}; }
MobileNetV2 cifar_mobilenet_v2(const MobileNetV2Options& options) { return {{1, 1, 1, 2, 2, 1, 2, 1}, options}; }

MobileNetV3Small::MobileNetV3Small(const std::array<int64_t, 5>& strides, const MobileNetV3Options& o)
    : stem({.in = o.in_channels,
            .out = rounded_channels(16 * checked_factor("MobileNetV3Small", "width", o.width)),
            .kernel = 3,
            .stride = strides[0],
            .padding = 1,
            .bias = false}),
      stem_bn(rounded_channels(16 * o.width)),
      body(small_stages(strides, o.width)),
      last({.in = rounded_channels(96 * o.width), .out = rounded_channels(576 * o.width), .kernel = 1, .bias = false}),
      last_bn(rounded_channels(576 * o.width)),
      hidden({.in = rounded_channels(576 * o.width), .out = rounded_channels(1024 * std::max(1.0, o.width))}),
      dropout({.p = o.dropout}),
      head({.in = rounded_channels(1024 * std::max(1.0, o.width)), .out = o.classes}) {}

Tensor MobileNetV3Small::forward(const Tensor& x) const {
  Tensor y = hardswish(stem_bn(stem(x)));
  for (const auto& block : body) y = block(y);
  y = mean(hardswish(last_bn(last(y))), {1, 2});
  return head(dropout(hardswish(hidden(y))));
}

MobileNetV3Small mobilenet_v3_small(const MobileNetV3Options& options) { return {{2, 2, 2, 2, 2}, options}; }
MobileNetV3Small cifar_mobilenet_v3_small(const MobileNetV3Options& options) { return {{1, 1, 2, 2, 2}, options}; }

}  // namespace sinter::nn
