#include "efficientnet.h"

#include <cmath>

#include "../../core/ops/reduce.h"
#include "../../core/ops/sigmoid.h"
#include "../../core/ops/silu.h"
#include "channels.h"

namespace sinter::nn {

namespace {

struct Stage {
  int64_t expansion, kernel, channels, blocks;
};
constexpr std::array kStages{Stage{1, 3, 16, 1},  Stage{6, 3, 24, 2},  Stage{6, 5, 40, 2}, Stage{6, 3, 80, 3},
                             Stage{6, 5, 112, 3}, Stage{6, 5, 192, 4}, Stage{6, 3, 320, 1}};

std::vector<InvertedResidual> stages(const std::array<int64_t, 8>& strides, const EfficientNetOptions& o) {
  checked_factor("EfficientNet", "depth", o.depth);
  std::vector<InvertedResidual> body;
  int64_t in = rounded_channels(32 * o.width);
  for (size_t i = 0; i < kStages.size(); ++i) {
    const Stage& stage = kStages[i];
    const int64_t out = rounded_channels(static_cast<double>(stage.channels) * o.width);
    const auto blocks = static_cast<int64_t>(std::ceil(static_cast<double>(stage.blocks) * o.depth));
    for (int64_t block = 0; block < blocks; ++block) {
      body.push_back({{.in = in,
                       .out = out,
                       .stride = block == 0 ? strides[i + 1] : 1,
                       .expansion = stage.expansion,
                       .kernel = stage.kernel,
                       .activation = silu,
                       .squeezed = std::max<int64_t>(1, in / 4),  // of the block's input, as the authors'
                       .squeeze_activation = silu,
                       .gate = sigmoid}});
      in = out;
    }
  }
  return body;
}

}  // namespace

EfficientNet::EfficientNet(const std::array<int64_t, 8>& strides, const EfficientNetOptions& o)
    : stem({.in = o.in_channels,
            .out = rounded_channels(32 * checked_factor("EfficientNet", "width", o.width)),
            .kernel = 3,
            .stride = strides[0],
            .padding = 1,
            .bias = false}),
      stem_bn(rounded_channels(32 * o.width)),
      body(stages(strides, o)),
      last(
          {.in = rounded_channels(320 * o.width), .out = rounded_channels(1280 * o.width), .kernel = 1, .bias = false}),
      last_bn(rounded_channels(1280 * o.width)),
      dropout({.p = o.dropout}),
      head({.in = rounded_channels(1280 * o.width), .out = o.classes}) {}

Tensor EfficientNet::forward(const Tensor& x) const {
  Tensor y = silu(stem_bn(stem(x)));
  for (const auto& block : body) y = block(y);
  return head(dropout(mean(silu(last_bn(last(y))), {1, 2})));
}

EfficientNet efficientnet_b0(const EfficientNetOptions& options) { return {{2, 1, 2, 2, 2, 1, 2, 1}, options}; }
EfficientNet cifar_efficientnet_b0(const EfficientNetOptions& options) { return {{1, 1, 1, 2, 2, 1, 2, 1}, options}; }

}  // namespace sinter::nn
