#include "work.h"

#include <cmath>

namespace sinter::bench {

namespace {

using Forward = std::function<Tensor(const Tensor&)>;

Graph fused(const Model& model, const nn::Module& made) {
  return fuse_batch_norm(trace(made, Specs{make_batch(model, 1).images.spec()}));
}

BatchWork training(Forward forward, std::vector<NamedParameter> of_model) {
  // Not captured as they are: copies of a function copy what it captured, and copies of parameters are other ones.
  const auto parameters = std::make_shared<const std::vector<NamedParameter>>(std::move(of_model));
  auto optimizer = std::make_shared<optim::SGD>(optim::SGDOptions{.lr = 0.01, .momentum = 0.9, .weight_decay = 1e-4});
  return [=](const data::Batch& batch) {
    const TrainingMode mode(true);
    const Tensor loss = cross_entropy(forward(batch.images), batch.labels);
    check(std::isfinite(loss.item()), "the loss is not finite");
    loss.backward();
    optimizer->step(*parameters);
    optim::zero_grad(*parameters);
  };
}

BatchWork inference(Forward forward) {
  return [forward = std::move(forward)](const data::Batch& batch) {
    const NoGrad no_grad;
    const TrainingMode mode(false);
    forward(batch.images);
  };
}

std::shared_ptr<quant::PreparedModel> prepared(const Model& model, const std::string& fake_quant) {
  const auto qconfig =
      quant::get_default_qconfig({.activation_fake_quant = fake_quant, .weight_fake_quant = fake_quant});
  return std::make_shared<quant::PreparedModel>(quant::prepare_qat(*model.make(), make_batch(model, 1).images,
                                                                   {.qconfig = qconfig, .march = quant::March::bayes}));
}

BatchWork training(const std::shared_ptr<quant::PreparedModel>& model) {
  return training([model](const Tensor& x) { return (*model)(x); }, model->parameters());
}

}  // namespace

const std::vector<Model>& models() {
  static const std::vector<Model> all{
      model("resnet20", {32, 32, 3}, [] { return nn::resnet20(); }),
      model("resnet18", {64, 64, 3}, [] { return nn::resnet18({.classes = 10}); }),
      model("mobilenet_v2", {32, 32, 3}, [] { return nn::cifar_mobilenet_v2(); }),
  };
  return all;
}

const Model& resnet20() { return models().front(); }

data::Batch make_batch(const Model& model, int64_t images) {
  Random random(1);
  Tensor labels = Tensor::empty({images}, DType::int64);
  int64_t* values = labels.mutable_data<int64_t>();
  for (int64_t i = 0; i < images; ++i) values[i] = i % 10;
  return {Tensor::normal({images, model.image[0], model.image[1], model.image[2]}, random), labels};
}

BatchWork float_step(const Model& model) {
  const auto made = model.make();
  const auto graph = std::make_shared<const Graph>(fused(model, *made));
  return training([graph](const Tensor& x) { return (*graph)(x); }, made->parameters());
}

BatchWork float_inference(const Model& model) {
  const auto graph = std::make_shared<const Graph>(fused(model, *model.make()));
  return inference([graph](const Tensor& x) { return (*graph)(x); });
}

BatchWork qat_step(const Model& model, const std::string& fake_quant) { return training(prepared(model, fake_quant)); }

std::shared_ptr<quant::PreparedModel> trained(const Model& model, const std::string& fake_quant) {
  auto result = prepared(model, fake_quant);
  training(result)(make_batch(model, 16));
  return result;
}

BatchWork validation(const Model& model) {
  const auto ready = trained(model);
  quant::set_fake_quantize(*ready, quant::FakeQuantState::validation);
  return inference([ready](const Tensor& x) { return (*ready)(x); });
}

BatchWork simulator(const Model& model) {
  const auto simulator = std::make_shared<const bpu::Simulator>(bpu::compile(*trained(model)));
  return inference([simulator](const Tensor& x) { return (*simulator)(x); });
}

}  // namespace sinter::bench
