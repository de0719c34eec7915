#pragma once
// Pieces of work on whole models, for the benchmarks and for compare_torch.

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include <sinter/sinter.h>

namespace sinter::bench {

/// A network to measure, and the images it takes.
struct Model {
  std::string name;
  Shape image;  ///< [H,W,C]
  std::function<std::unique_ptr<nn::Module>()> make;
};
template <class Make>
Model model(const std::string& name, const Shape& image, Make make) {
  return {name, image, [make] { return std::make_unique<decltype(make())>(make()); }};
}

/// Of 10 classes: ResNet-20 at 32x32x3, ResNet-18 at 64x64x3, MobileNetV2 at 32x32x3.
const std::vector<Model>& models();
const Model& resnet20();

/// Normal images with labels 0..9.
data::Batch make_batch(const Model& model, int64_t images);

/// One piece of work, on a batch of any size.
using BatchWork = std::function<void(const data::Batch&)>;
/// A step as nn::fit makes it.
BatchWork float_step(const Model& model);
BatchWork float_inference(const Model& model);
BatchWork qat_step(const Model& model, const std::string& fake_quant = "fake_quant");
/// The prepared model in FakeQuantState::validation.
BatchWork validation(const Model& model);
BatchWork simulator(const Model& model);

/// The model prepared for bayes, after one step of QAT.
std::shared_ptr<quant::PreparedModel> trained(const Model& model, const std::string& fake_quant = "fake_quant");

}  // namespace sinter::bench
