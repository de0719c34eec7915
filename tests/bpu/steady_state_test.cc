#include "../../bpu/compile.h"
#include "../../bpu/simulator.h"
#include "../../nn/models/resnet.h"
#include "../../quant/prepare.h"
#include "../support.h"

using namespace sinter;

TEST_CASE("after one inference the simulator fetches no memory and makes no primitive") {
  auto model = quant::prepare_qat(nn::resnet20(), Tensor::zeros({1, 16, 16, 3}), {.march = quant::March::bayes});
  const std::vector<Tensor> x{test::normal({6, 16, 16, 3}), test::normal({4, 16, 16, 3})};
  quant::set_fake_quantize(model, quant::FakeQuantState::calibration);
  model(x[0]);
  const bpu::Simulator simulator(bpu::compile(model));
  CHECK_STEADY([&](int) { simulator(x[0]); }, {.warm_up = 1});
  CHECK_STEADY([&](int step) { simulator(x[step % 2]); }, {.warm_up = 4});
}
