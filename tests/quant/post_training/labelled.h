#pragma once
// Images with labels for the tests of post-training methods that measure a loss.

#include <array>

#include "../../../data/dataset.h"
#include "networks.h"

namespace sinter::test {

/// A network that is sure of what it says.
inline SmallNet confident_net() {
  auto net = small_net();
  float* weights = net.head.weight.tensor().mutable_data<float>();
  for (int64_t i = 0; i < net.head.weight.tensor().elements(); ++i) weights[i] *= 20;
  net.head.bias.tensor().copy_from(Tensor::zeros({5}));
  return net;
}

/// Images of one colour each, and some noise, whose labels are what the network says of them.
inline data::ImageDataset labelled_images(const nn::Module& model, int64_t count, uint64_t seed = 3) {
  Random random(seed);
  Tensor pixels = Tensor::empty({count, 8, 8, 3}, DType::uint8), labels = Tensor::zeros({count}, DType::int64);
  for (int64_t n = 0; n < count; ++n) {
    const std::array<int64_t, 3> colour{random.below(224), random.below(224), random.below(224)};
    for (int64_t i = 0; i < 192; ++i)
      pixels.mutable_data<uint8_t>()[n * 192 + i] =
          static_cast<uint8_t>(colour[static_cast<size_t>(i % 3)] + random.below(32));
  }
  const data::ImageDataset unlabelled(pixels, labels);
  const NoGrad no_grad;
  const nn::ModeOverride evaluation(false);
  for (int64_t i = 0; i < count; ++i) {
    const Tensor y = model(unlabelled[i].image);
    const auto logits = y.values<float>();
    labels.mutable_data<int64_t>()[i] = std::max_element(logits.begin(), logits.end()) - logits.begin();
  }
  return {pixels, labels};
}

}  // namespace sinter::test
