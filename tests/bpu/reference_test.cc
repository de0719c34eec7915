#include "../../bpu/reference.h"

#include "../../bpu/compare.h"
#include "../../bpu/compile.h"
#include "../../bpu/witness/expected.h"
#include "../../data/dataset.h"
#include "../../quant/layers/table.h"
#include "nets.h"

using namespace sinter;

namespace {

bpu::Program program(const quant::March& march = quant::March::bayes) { return bpu::compile(test::every_layer(march)); }

int64_t differences(const bpu::Program& p, const Tensor& x) {
  const bpu::Simulator simulator{bpu::Program(p)};
  const bpu::Reference reference{bpu::Program(p)};
  std::vector<std::pair<std::string, Tensor>> expected;
  const auto results = reference.inspect(
      {&x, 1}, [&](const std::string& name, const Tensor& integers) { expected.emplace_back(name, integers); });
  size_t at = 0;
  int64_t differing = 0;
  simulator.inspect({&x, 1}, [&](const std::string& name, const Tensor& integers) {
    REQUIRE(at < expected.size());
    CHECK(expected[at].first == name);
    CHECK_SAME(integers, expected[at].second);
    differing += !test::difference(integers, expected[at++].second, 0, 0).empty();
  });
  CHECK(at == expected.size());
  CHECK_SAME(simulator(x), results[0]);
  return differing;
}

}  // namespace

TEST_CASE("the witness agrees with every multiplier and every integer of the simulator") {
  const Tensor x = test::formula_images({2, 17, 15, 3});
  for (const auto* march : {&quant::March::bayes, &quant::March::bernoulli, &quant::March::nash})
    CHECK(differences(program(*march), x) == 0);
}

TEST_CASE("the witness agrees where weights, inputs and biases are extreme") {
  struct Extreme : nn::Module {
    nn::Conv2d conv{{.in = 512, .out = 4, .kernel = 3, .padding = 1}};
    nn::Linear head{{.in = 4, .out = 2}};
    SINTER_CHILDREN(conv, head)
    Tensor forward(const Tensor& x) const override { return head(mean(conv(x), {1, 2})); }
  };
  Extreme net;
  test::fill(net);
  float* w = net.conv.weight.tensor().mutable_data<float>();
  // All of one sign in channel 0, alternating in 1; a nearly dead channel with a bias; an ordinary one.
  const int64_t each = net.conv.weight.tensor().elements() / 4;
  for (int64_t i = 0; i < each; ++i) {
    w[i] = 1;
    w[each + i] = i % 2 == 0 ? 1.0f : -1.0f;
    w[2 * each + i] = 1e-12f;
  }
  net.conv.bias.tensor().mutable_data<float>()[2] = 100;
  Tensor x = Tensor::full({1, 5, 5, 512}, -1);
  for (int64_t i = 0; i < x.elements(); i += 7) x.mutable_data<float>()[i] = 1;
  const bpu::Program p = bpu::compile(test::calibrated(net, x, quant::March::bayes));
  int64_t largest = 0;
  for (const int32_t b : p.instructions[0].bias.values<int32_t>())
    largest = std::max<int64_t>(largest, std::abs(static_cast<int64_t>(b)));
  CHECK(largest > (1 << 24));  // what a float32 would round
  CHECK(differences(p, x) == 0);
}

TEST_CASE("the witness refuses integers that are not what the scales ask for") {
  const bpu::Program good = program();
  const auto refused = [&](auto change, const std::string& message) {
    bpu::Program p = good;
    change(p);
    CHECK_ERROR(bpu::Reference(std::move(p)), message);
  };
  CHECK_NOTHROW(bpu::Reference{bpu::Program(good)});
  refused([](auto& p) { p.instructions[0].rescale[2].m ^= 1; }, "stem, channel 2: ");
  refused([](auto& p) { --p.instructions[0].rescale[2].post; }, "stem, channel 2: ");
  refused([](auto& p) { p.values[3].low = -1; }, "block.conv1: its bounds are -1..127, expected 0..127");
  refused([](auto& p) { p.values[2].scale *= 2; }, ": its scale is");
}

TEST_CASE("the witness takes every table that is right, whatever the scales and the rounding, and no other") {
  const std::vector<std::pair<std::string, std::shared_ptr<const Op>>> functions{
      {"sigmoid", std::make_shared<ops::Sigmoid>()},
      {"silu", std::make_shared<ops::Silu>()},
      {"tanh", std::make_shared<ops::Tanh>()},
      {"hardsigmoid", std::make_shared<ops::Hardsigmoid>()},
      {"hardswish", std::make_shared<ops::Hardswish>()},
      {"leaky_relu", std::make_shared<ops::LeakyRelu>(LeakyReluAttributes{.negative_slope = 0.1})}};
  std::vector<float> scales{0.3f, 1e-3f, 0.1f, 3, 5, 0.7f, 1.0f / 3};
  for (int k = -12; k <= 6; ++k) scales.push_back(std::ldexp(1.0f, k));
  for (const auto& function : functions)
    for (const auto rounding : {quant::Rounding::half_to_even, quant::Rounding::half_up})
      for (const DType type : {DType::int8, DType::int16})
        for (const float x_scale : scales)
          for (const float y_scale : scales) {
            if (type == DType::int16 && (x_scale != 0.001f || (y_scale != 2 && y_scale != 0.3f))) continue;  // slower
            const bool wide = type == DType::int16;
            const int32_t high = wide ? 32767 : 127;
            bpu::Program p;
            p.march = quant::Arithmetic(quant::March::bayes, rounding);
            for (const bool out : {false, true}) {
              bpu::Value value{.name = out ? "y" : "x", .shape = {1, 4}, .dtype = type};
              value.scale = out ? y_scale : x_scale;
              value.low = -high - 1;
              value.high = high;
              value.bits = wide ? 16 : 8;
              p.values.push_back(value);
            }
            bpu::Instruction step;
            step.layer = "table";
            step.inputs = {0};
            step.output = 1;
            step.op = function.second;
            step.table = quant::make_table(quant::table_function(*function.second), p.values[0].grid(), p.values[1].grid(), rounding);
            CAPTURE(function.first);
            CAPTURE(x_scale);
            CAPTURE(y_scale);
            CAPTURE(to_string(rounding));
            REQUIRE(bpu::witness::wrong_integers(p, step) == "");
            // Two more is wrong everywhere.
            const int64_t at = wide ? 40000 : 140;
            const auto altered = [&](auto* entries) { entries[at] += entries[at] > 0 ? -2 : 2; };
            wide ? altered(step.table.mutable_data<int16_t>()) : altered(step.table.mutable_data<int8_t>());
            REQUIRE(bpu::witness::wrong_integers(p, step) != "");
          }
}

TEST_CASE("comparing counts what differs and says where") {
  const auto model = test::every_layer();
  const bpu::Simulator simulator(bpu::compile(model));
  Tensor pixels = Tensor::empty({5, 17, 15, 3}, DType::uint8);
  for (int64_t i = 0; i < pixels.elements(); ++i) pixels.mutable_data<uint8_t>()[i] = static_cast<uint8_t>(i * 37);
  const data::ImageDataset images(pixels, Tensor::zeros({5}, DType::int64));

  const auto same = bpu::compare(model, simulator, images, {.batch = 2});
  CHECK(same.images == 5);
  CHECK(same.differing == 0);
  CHECK(same.first.empty());
  int64_t integers = 0;
  for (const bpu::Value& value : simulator.program().values) integers += value.shape.elements();
  CHECK(same.compared == 5 * integers);
  CHECK(bpu::compare(bpu::Reference(simulator.program()), simulator, images).differing == 0);
  CHECK(bpu::compare(model, simulator, images, {.batch = 2, .batches = 1}).images == 2);

  bpu::Program changed = simulator.program();
  changed.instructions[0].bias = changed.instructions[0].bias.clone();
  changed.instructions[0].bias.mutable_data<int32_t>()[1] += 1 << 12;
  const auto other = bpu::compare(model, bpu::Simulator(std::move(changed)), images, {.batch = 2});
  CHECK(other.differing > 0);
  CHECK(other.first.starts_with("stem, image 0, element "));
  CHECK(to_string(other).find(" integers differ over 5 images; first: stem") != std::string::npos);
}
