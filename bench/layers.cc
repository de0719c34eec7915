// Layers on their own: what their steps of QAT and their integers cost beside float.

#include "measure.h"

#include <sinter/sinter.h>

namespace sinter::bench {

namespace {

// A layer whose output is quantised.
template <class Layer>
struct Alone final : nn::Module {
  Layer layer;
  nn::ReLU relu;
  SINTER_CHILDREN(layer, relu)
  explicit Alone(const Layer& l) : layer(l) {}
  Tensor forward(const Tensor& x) const override { return relu(layer(x)); }
};

Tensor normal(const Shape& shape) {
  Random random(1);
  return Tensor::normal(shape, random);
}

// With the gradient of x, as in the middle of a network.
template <class Model>
Work step(std::shared_ptr<Model> model, const Shape& shape) {
  Tensor x = normal(shape);
  x.set_requires_grad(true);
  return [=, dy = normal((*model)(x).shape()),
          optimizer = std::make_shared<optim::SGD>(optim::SGDOptions{.lr = 1e-6, .momentum = 0.9})]() mutable {
    const TrainingMode mode(true);
    const auto parameters = model->parameters();
    (*model)(x).backward(dy);
    optimizer->step(parameters);
    optim::zero_grad(parameters);
    x.set_grad({});
  };
}

template <class Model>
Work inference(std::shared_ptr<Model> model, const Shape& shape) {
  return [model = std::move(model), x = normal(shape)] {
    const NoGrad no_grad;
    const TrainingMode mode(false);
    (*model)(x);
  };
}

template <class Layer>
std::shared_ptr<quant::PreparedModel> trained(const Layer& layer, const Shape& shape) {
  auto model = std::make_shared<quant::PreparedModel>(
      quant::prepare_qat(Alone<Layer>(layer), normal(shape), {.march = quant::March::bayes}));
  const TrainingMode mode(true);
  (*model)(normal(shape));
  return model;
}

template <class Layer>
void add_layer(const std::string& row, const Layer& layer, const Shape& x) {
  const auto real = [=] { return std::make_shared<Alone<Layer>>(layer); };
  const auto simulator = [=] { return std::make_shared<bpu::Simulator>(bpu::compile(*trained(layer, x))); };
  const std::string train = "layer, training step", run = "layer, inference";
  add({.section = train, .row = row, .column = "float", .baseline = true, .make = [=] { return step(real(), x); }});
  add({.section = train, .row = row, .column = "QAT", .make = [=] { return step(trained(layer, x), x); }});
  add({.section = run, .row = row, .column = "float", .baseline = true, .make = [=] { return inference(real(), x); }});
  add({.section = run, .row = row, .column = "simulator", .make = [=] { return inference(simulator(), x); }});
}

void add_linear(int64_t in, int64_t out, int64_t rows) {
  add_layer(text("linear ", in, "->", out, ", ", rows, " rows"), nn::Linear{{.in = in, .out = out}}, {rows, in});
}

}  // namespace

void add_all() {
  add_linear(1024, 1024, 1024);
  add_linear(1024, 1024, 128);
  add_linear(4096, 1024, 64);
  add_linear(4096, 4096, 32);
  add_linear(64, 10, 128);
  using Up = nn::ConvTranspose2d;
  const Shape image{8, 16, 16, 128};
  add_layer("transposed 4x4 stride 2 128->64", Up{{.in = 128, .out = 64, .kernel = 4, .stride = 2, .padding = 1}},
            image);
  add_layer("transposed 2x2 stride 2 128->64", Up{{.in = 128, .out = 64, .kernel = 2, .stride = 2}}, image);
  add_layer("transposed {49,1} 98->4", Up{{.in = 98, .out = 4, .kernel = {49, 1}}}, {64, 1, 32, 98});
  add_layer("transposed 3x3 stride 2 64->64", Up{{.in = 64, .out = 64, .kernel = 3, .stride = 2, .padding = 1}},
            {8, 16, 16, 64});
  add_layer("transposed 4x4 stride 2 depthwise 64",
            Up{{.in = 64, .out = 64, .kernel = 4, .stride = 2, .padding = 1, .groups = 64}}, {8, 16, 16, 64});
}

}  // namespace sinter::bench
