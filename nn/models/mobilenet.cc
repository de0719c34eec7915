#include "mobilenet.h"

#include "../../core/ops/reduce.h"
#include "../../core/ops/relu.h"
#include "../../core/ops/relu6.h"

namespace sinter::nn {

namespace {

// Multiples of 8, at most a tenth below what was asked for: as in the authors' implementation.
int64_t channels(double wanted) {
  constexpr int64_t kStep = 8;
  int64_t rounded = std::max(kStep, static_cast<int64_t>(wanted + kStep / 2) / kStep * kStep);
  if (static_cast<double>(rounded) < 0.9 * wanted) rounded += kStep;
  return rounded;
}

double checked_width(const char* model, double width) {
  check(width > 0 && width <= 16, model, ": width is ", width, ", expected above 0, at most 16");
  return width;
}

std::vector<SeparableConv> stages(const std::array<int64_t, 6>& strides, double width) {
  constexpr std::array<int64_t, 5> kChannels{64, 128, 256, 512, 1024}, kBlocks{1, 2, 2, 6, 2};
  std::vector<SeparableConv> body;
  int64_t in = channels(32 * width);
  for (size_t i = 0; i < kChannels.size(); ++i) {
    const int64_t out = channels(static_cast<double>(kChannels[i]) * width);
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
  int64_t in = channels(32 * width);
  for (size_t i = 0; i < kStages.size(); ++i) {
    const Stage& stage = kStages[i];
    const int64_t out = channels(static_cast<double>(stage.channels) * width);
    for (int64_t block = 0; block < stage.blocks; ++block) {
      body.push_back({{.in = in, .out = out, .stride = block == 0 ? strides[i + 1] : 1, .expansion = stage.expansion}});
      in = out;
    }
  }
  return body;
}

}  // namespace

MobileNetV1::MobileNetV1(const std::array<int64_t, 6>& strides, const MobileNetV1Options& o)
    : stem({.in = o.in_channels,
            .out = channels(32 * checked_width("MobileNetV1", o.width)),
            .kernel = 3,
            .stride = strides[0],
            .padding = 1,
            .bias = false}),
      stem_bn(channels(32 * o.width)),
      body(stages(strides, o.width)),
      head({.in = channels(1024 * o.width), .out = o.classes}) {}

Tensor MobileNetV1::forward(const Tensor& x) const {
  Tensor y = relu(stem_bn(stem(x)));
  for (const auto& block : body) y = block(y);
  return head(mean(y, {1, 2}));
}

MobileNetV1 mobilenet_v1(const MobileNetV1Options& options) { return {{2, 1, 2, 2, 2, 2}, options}; }
MobileNetV1 cifar_mobilenet_v1(const MobileNetV1Options& options) { return {{1, 1, 1, 2, 2, 2}, options}; }

MobileNetV2::MobileNetV2(const std::array<int64_t, 8>& strides, const MobileNetV2Options& o)
    : stem({.in = o.in_channels,
            .out = channels(32 * checked_width("MobileNetV2", o.width)),
            .kernel = 3,
            .stride = strides[0],
            .padding = 1,
            .bias = false}),
      stem_bn(channels(32 * o.width)),
      body(stages(strides, o.width)),
      last({.in = channels(320 * o.width), .out = channels(1280 * std::max(1.0, o.width)), .kernel = 1, .bias = false}),
      last_bn(channels(1280 * std::max(1.0, o.width))),
      head({.in = channels(1280 * std::max(1.0, o.width)), .out = o.classes}) {}

Tensor MobileNetV2::forward(const Tensor& x) const {
  Tensor y = relu6(stem_bn(stem(x)));
  for (const auto& block : body) y = block(y);
  return head(mean(relu6(last_bn(last(y))), {1, 2}));
}

MobileNetV2 mobilenet_v2(const MobileNetV2Options& options) { return {{2, 1, 2, 2, 2, 1, 2, 1}, options}; }
MobileNetV2 cifar_mobilenet_v2(const MobileNetV2Options& options) { return {{1, 1, 1, 2, 2, 1, 2, 1}, options}; }

}  // namespace sinter::nn
