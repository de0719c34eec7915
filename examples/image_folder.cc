// Trains on a folder of pictures that has a folder for each class, in float and quantised, and runs it in integers:
//
//     image_folder TRAIN TEST [EPOCHS]

#include <sinter/sinter.h>

#include <cstdio>
#include <cstdlib>

using namespace sinter;

struct Net : nn::Module {
  std::vector<nn::BasicBlock> body{{{.in = 16, .out = 32, .stride = 2}}, {{.in = 32, .out = 64, .stride = 2}}};
  nn::Conv2d stem{{.in = 1, .out = 16, .kernel = 3, .stride = 2, .padding = 1, .bias = false}};
  nn::BatchNorm2d bn{16};
  nn::Linear head;
  explicit Net(int64_t classes) : head({.in = 64, .out = classes}) {}
  SINTER_CHILDREN(body, stem, bn, head)
  Tensor forward(const Tensor& x) const override {
    Tensor y = relu(bn(stem(x)));
    for (const auto& block : body) y = block(y);
    return head(mean(y, {1, 2}));
  }
};

int main(int argc, char** argv) try {
  check(argc >= 3, "usage: image_folder TRAIN TEST [EPOCHS]");
  const data::PictureDatasetOptions options{
      .channels = 1, .mean = {0.5}, .std = {0.5}, .transforms = {data::letterbox({48, 192})}};
  const auto train = data::image_folder(argv[1], options), test = data::image_folder(argv[2], options);
  Net net(static_cast<int64_t>(train.classes().size()));
  nn::fit(net, train,
          {.epochs = argc > 3 ? std::atoll(argv[3]) : 10,
           .batch = 32,
           .optimizer = optim::SGD{{.lr = 0.05, .momentum = 0.9}},
           .workers = 2});
  std::printf("float  %6.2f %%\n", nn::evaluate(net, test).accuracy);

  auto qat = quant::prepare_qat(net, test[0].image, {.march = quant::March::bayes});
  quant::set_fake_quantize(qat, quant::FakeQuantState::calibration);
  for (const auto& batch : data::DataLoader(train, {.batch = 32})) qat(batch.images);
  quant::set_fake_quantize(qat, quant::FakeQuantState::qat);
  nn::fit(qat, train,
          {.epochs = 2, .batch = 32, .optimizer = optim::SGD{{.lr = 0.002, .momentum = 0.9}}, .workers = 2});
  quant::set_fake_quantize(qat, quant::FakeQuantState::validation);
  std::printf("QAT    %6.2f %%\n", nn::evaluate(qat, test).accuracy);
  const bpu::Simulator simulator(bpu::compile(qat));
  std::printf("BPU    %6.2f %%\n%s\n", nn::evaluate(simulator, test).accuracy,
              to_string(bpu::compare(qat, simulator, test)).c_str());
} catch (const std::exception& error) {
  std::fprintf(stderr, "error: %s\n", error.what());
  return 1;
}
