#include "shufflenet.h"

#include "../../core/ops/reduce.h"
#include "../../core/ops/relu.h"

namespace sinter::nn {

namespace {

constexpr int64_t kStemChannels = 24;

std::vector<ShuffleUnit> stages(const std::array<int64_t, 5>& strides, const std::array<int64_t, 4>& channels) {
  constexpr std::array<int64_t, 3> kBlocks{4, 8, 4};
  std::vector<ShuffleUnit> body;
  int64_t in = kStemChannels;
  for (size_t i = 0; i < kBlocks.size(); ++i)
    for (int64_t block = 0; block < kBlocks[i]; ++block) {
      body.push_back({{.in = in, .out = channels[i], .stride = block == 0 ? strides[i + 2] : 1}});
      in = channels[i];
    }
  return body;
}

}  // namespace

ShuffleNetV2::ShuffleNetV2(const std::array<int64_t, 5>& strides, const ShuffleNetV2Options& o)
    : stem({.in = o.in_channels, .out = kStemChannels, .kernel = 3, .stride = strides[0], .padding = 1, .bias = false}),
      stem_bn(kStemChannels),
      body(stages(strides, o.channels)),
      last({.in = o.channels[2], .out = o.channels[3], .kernel = 1, .bias = false}),
      last_bn(o.channels[3]),
      head({.in = o.channels[3], .out = o.classes}) {
  if (strides[1] != 1) pool.emplace(MaxPoolAttributes{.kernel = 3, .stride = strides[1], .padding = 1});
}

Tensor ShuffleNetV2::forward(const Tensor& x) const {
  Tensor y = relu(stem_bn(stem(x)));
  if (pool) y = (*pool)(y);
  for (const auto& unit : body) y = unit(y);
  return head(mean(relu(last_bn(last(y))), {1, 2}));
}

ShuffleNetV2 shufflenet_v2(const ShuffleNetV2Options& options) { return {{2, 2, 2, 2, 2}, options}; }
ShuffleNetV2 cifar_shufflenet_v2(const ShuffleNetV2Options& options) { return {{1, 1, 2, 2, 2}, options}; }

}  // namespace sinter::nn
