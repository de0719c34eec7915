#include <sinter/sinter.h>

#include <cstdio>
#include <cstdlib>

using namespace sinter;

struct SmallNet : nn::Module {
  nn::Conv2d stem{{.in = 1, .out = 16, .kernel = 3, .padding = 1, .bias = false}};
  nn::BatchNorm2d bn{16};
  std::vector<nn::BasicBlock> body{{{.in = 16, .out = 16}}, {{.in = 16, .out = 32, .stride = 2}}};
  nn::Linear head{{.in = 32, .out = 10}};
  SINTER_CHILDREN(stem, bn, body, head)

  Tensor forward(const Tensor& x) const override {
    Tensor y = relu(bn(stem(x)));
    for (const auto& block : body) y = block(y);
    return head(mean(y, {1, 2}));
  }
};

void report(const char* stage, const nn::Evaluation& e) { std::printf("%-12s %6.2f %%\n", stage, e.accuracy); }

int main(int argc, char** argv) {
  const int64_t images = argc > 1 ? std::atoll(argv[1]) : 60000;  // fewer, for trying things
  const auto train = data::fashion_mnist("train").take(images), test = data::fashion_mnist("test").take(images);
  const Tensor example = test[0].image;
  SmallNet net;
  nn::fit(net, train, {.epochs = 3, .optimizer = optim::SGD{{.lr = 0.1, .momentum = 0.9}}});
  report("float", nn::evaluate(net, test));

  const auto config = quant::get_default_qconfig({.activation_observer = "percentile"});
  auto calibrated = quant::prepare_qat(net, example, {.qconfig = config, .march = quant::March::bayes});
  quant::set_fake_quantize(calibrated, quant::FakeQuantState::calibration);
  for (const auto& batch : data::DataLoader(train, {.seed = 1, .batches = 50})) calibrated(batch.images);
  quant::set_fake_quantize(calibrated, quant::FakeQuantState::validation);
  report("calibrated", nn::evaluate(calibrated, test));

  auto qat = quant::prepare_qat(net, example, {.march = quant::March::bayes});  // the default qconfig
  quant::load_observer_params(calibrated, qat);
  quant::set_fake_quantize(qat, quant::FakeQuantState::qat);
  nn::fit(qat, train, {.epochs = 1, .optimizer = optim::SGD{{.lr = 0.001, .momentum = 0.9}}});
  quant::set_fake_quantize(qat, quant::FakeQuantState::validation);
  report("QAT", nn::evaluate(qat, test));

  const bpu::Program program = bpu::compile(qat);  // throws with every violation listed
  const bpu::Simulator simulator(program);
  report("BPU", nn::evaluate(simulator, test));  // equal to QAT, bit for bit
  std::printf("%s\n", to_string(bpu::compare(qat, simulator, test)).c_str());
  bpu::save(program, "small_net.program");
}
