#include "../../bpu/output_scale.h"

#include <limits>

#include "agreement.h"
#include "nets.h"

using namespace sinter;

namespace {

// Output 0 is of high precision, output 1 int8.
quant::PreparedModel two_outputs() {
  struct Net : nn::Module {
    nn::Conv2d conv{{.in = 2, .out = 3, .kernel = 3, .padding = 1}};
    nn::Conv2d head{{.in = 3, .out = 5, .kernel = 1}};
    SINTER_CHILDREN(conv, head)
    std::vector<Tensor> forward_all(std::span<const Tensor> x) const override {
      const Tensor y = relu(conv(x[0]));
      return {head(y), sigmoid(y)};
    }
  };
  Net net;
  test::fill(net);
  return test::calibrated(net, test::formula_images({2, 6, 5, 2}), quant::March::bayes);
}

}  // namespace

TEST_CASE("an output's integers stand for the simulator's results, and thresholds on them cut where the results do") {
  const bpu::Simulator simulator(bpu::compile(two_outputs()));
  const Tensor x = test::formula_images({3, 6, 5, 2});
  const std::vector<Tensor> reals = simulator({x}), integers = simulator.integers({x});
  REQUIRE(integers.size() == 2);
  CHECK(integers[0].dtype() == DType::int32);
  CHECK(integers[1].dtype() == DType::int8);
  for (size_t output = 0; output < 2; ++output) {
    const bpu::OutputScale scale(simulator.program(), output);
    const auto real = reals[output].values<float>();
    const Tensor wide = integers[output].to(DType::int32);
    const auto integer = wide.values<int32_t>();
    const int64_t channels = reals[output].size(-1 + reals[output].rank());
    // Thresholds that are results, and just above them, and any.
    std::vector<float> cuts{-100, -0.3f, 0, 0.25f, 100};
    for (size_t i = 0; i < real.size(); i += 7) {
      cuts.push_back(real[i]);
      cuts.push_back(std::nextafter(real[i], 1e9f));
    }
    int64_t wrong = 0;
    for (size_t i = 0; i < real.size(); ++i) {
      const int64_t channel = static_cast<int64_t>(i) % channels;
      wrong += scale.real(integer[i], channel) != real[i];
      for (const float cut : cuts) wrong += (integer[i] >= scale.threshold(cut, channel)) != (real[i] >= cut);
    }
    CHECK(wrong == 0);
    CHECK(scale.threshold(std::numeric_limits<float>::infinity(), 0) > std::numeric_limits<int32_t>::max());
    CHECK(scale.threshold(-std::numeric_limits<float>::infinity(), 0) == std::numeric_limits<int32_t>::min());
    CHECK_ERROR(scale.threshold(std::numeric_limits<float>::quiet_NaN(), 0), "NaN");
  }
  CHECK_ERROR(bpu::OutputScale(simulator.program(), 2), "the program has 2 outputs, there is no 2");
}
