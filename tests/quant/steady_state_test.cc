#include "../../nn/models/resnet.h"
#include "../../quant/prepare.h"
#include "../nn/training.h"

using namespace sinter;
using test::Batch;
using test::training;

TEST_CASE("after two steps, QAT and VALIDATION fetch no memory and make no primitive") {
  auto model = quant::prepare_qat(nn::resnet20(), Tensor::zeros({1, 16, 16, 3}), {.march = quant::March::bayes});
  const std::vector<Batch> batches{Batch(6), Batch(4)};
  const auto forward = [&](const Tensor& x) { return model(x); };
  CHECK_STEADY(training(forward, model.parameters(), {batches[0]}));
  CHECK_STEADY(training(forward, model.parameters(), batches), {.warm_up = 4});

  quant::set_fake_quantize(model, quant::FakeQuantState::validation);
  const NoGrad no_grad;
  CHECK_STEADY([&](int) { model(batches[0].images); });
  CHECK_STEADY([&](int step) { model(batches[step % 2].images); }, {.warm_up = 4});
}
