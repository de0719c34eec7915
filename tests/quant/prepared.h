#pragma once
// The small network, prepared, for the tests of what a prepared model is and of its states.

#include "../../data/dataset.h"
#include "../data/files.h"
#include "networks.h"

namespace sinter::test {

inline const Tensor kSmallExample = Tensor::zeros({1, 8, 8, 3});

/// The built-in observers, with what they need, for activations and weights of these tests.
inline const std::vector<std::pair<std::string, quant::Keywords>> kObservers{{"clip", {{"min", -6}, {"max", 6}}},
                                                                             {"clip_std", {{"std_scale", 6}}},
                                                                             {"fixed_scale", {{"scale", 0.02}}},
                                                                             {"kl", {}},
                                                                             {"min_max", {}},
                                                                             {"mix", {}},
                                                                             {"mse", {}},
                                                                             {"percentile", {}}};

/// The small network, prepared; calibrated by three batches.
inline quant::PreparedModel prepared(const quant::PrepareOptions& options = {}) {
  return quant::prepare_qat(small_net(), kSmallExample, options);
}

inline quant::PreparedModel calibrated(const quant::PrepareOptions& options = {}) {
  quant::PreparedModel model = prepared(options);
  quant::set_fake_quantize(model, quant::FakeQuantState::calibration);
  for (uint64_t batch = 0; batch < 3; ++batch) model(images({4, 8, 8, 3}, batch));
  return model;
}

/// What every quantiser has seen.
inline Tensor ranges(const quant::PreparedModel& model) {
  const auto quantizers = model.quantizers();
  Tensor all = Tensor::empty({static_cast<int64_t>(quantizers.size()), 4});
  float* out = all.mutable_data<float>();
  for (const quant::ActivationQuantizer* q : quantizers)
    for (const float v :
         {q->range().min, q->range().max, static_cast<float>(q->batches()), static_cast<float>(q->values())})
      *out++ = v;
  return all;
}

/// Copies of all parameters and buffers.
inline std::vector<Tensor> state_of(const nn::Module& model) {
  std::vector<Tensor> all;
  for (const auto& parameter : model.named_state()) all.push_back(parameter.value.tensor().clone());
  return all;
}

inline void check_same_state(const nn::Module& model, const std::vector<Tensor>& expected) {
  const auto now = model.named_state();
  REQUIRE(now.size() == expected.size());
  for (size_t i = 0; i < now.size(); ++i) {
    CAPTURE(now[i].name);
    CHECK_SAME(now[i].value.tensor(), expected[i]);
  }
}

/// Without gradients.
inline Tensor run(const nn::Module& model, const Tensor& x) {
  const NoGrad no_grad;
  return model(x);
}

/// Images of five classes, told apart by colour.
inline data::ImageDataset small_dataset(int64_t count) {
  Random random(5);
  Tensor pixels = Tensor::empty({count, 8, 8, 3}, DType::uint8), labels = Tensor::empty({count}, DType::int64);
  for (int64_t i = 0; i < count; ++i) {
    const int64_t label = i % 5;
    labels.mutable_data<int64_t>()[i] = label;
    for (int64_t k = 0; k < 192; ++k)
      pixels.mutable_data<uint8_t>()[i * 192 + k] = static_cast<uint8_t>((k % 3 == label % 3 ? 200
                                                                          : label < 3        ? 40
                                                                                             : 100) +
                                                                         random.below(50));
  }
  return {pixels, labels, {.mean = {0.5}, .std = {0.5}}};
}

}  // namespace sinter::test
