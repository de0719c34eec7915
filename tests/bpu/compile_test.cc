#include "../../bpu/compile.h"

#include "../../bpu/simulator.h"
#include "nets.h"

using namespace sinter;

TEST_CASE("every layer becomes an instruction under its node's name") {
  const auto model = test::every_layer();
  const bpu::Program p = bpu::compile(model);
  CHECK(p.march == quant::March::bayes);
  CHECK(p.fingerprint == model.fingerprint());
  REQUIRE(p.instructions.size() == model.graph().nodes.size());
  std::vector<std::string> layers;
  for (size_t i = 0; i < p.instructions.size(); ++i) {
    CHECK(p.values[p.instructions[i].output].name == model.graph().nodes[i].name);
    layers.push_back(p.instructions[i].layer);
  }
  for (const char* layer : {"conv", "add", "mean", "max_pool", "clamp"})
    CHECK_MESSAGE(std::count(layers.begin(), layers.end(), layer) > 0, layer);
  CHECK(p.values[p.outputs[0]].dtype == DType::int32);
  CHECK(bpu::parameter_bytes(p) > 0);
}

TEST_CASE("a model is compiled for its own march only, and after it has seen data") {
  const auto model = test::every_layer();
  CHECK_ERROR(bpu::compile(model, {.march = quant::March::bernoulli}),
              "compile: the march bernoulli was asked for, but the model was prepared for bayes");
  CHECK_NOTHROW(bpu::compile(model, {.march = quant::March::bayes}));
  CHECK_NOTHROW(bpu::compile(model, {.march = "bayes"}));
  CHECK_ERROR(bpu::compile(model, {.march = "nash"}), "compile: the march nash was asked for");
  test::EveryInstruction net;
  const auto fresh = quant::prepare_qat(net, test::formula_images({1, 17, 15, 3}));
  CHECK_ERROR(bpu::compile(fresh), "compile: nothing was observed for input, stem");
}

TEST_CASE("all layers that do not fit are listed") {
  struct Hostile : nn::Module {
    nn::Conv2d a{{.in = 1, .out = 1, .kernel = 1}}, b{{.in = 1, .out = 1, .kernel = 1}};
    nn::Linear head{{.in = 1, .out = 2}};
    SINTER_CHILDREN(a, b, head)
    Tensor forward(const Tensor& x) const override { return head(mean(b(a(x)), {1, 2})); }
  };
  Hostile net;
  auto model = test::calibrated(net, test::formula_images({2, 3, 3, 1}), quant::March::nash);
  // Outputs of tiny scale from weights of a huge one: no 15-bit multiplier reaches the ratio.
  for (const auto& parameter : model.named_state()) {
    Tensor t = parameter.value.tensor();
    if (parameter.name == "a.weight" || parameter.name == "b.weight") *t.mutable_data<float>() = 1e6f;
    if (parameter.name == "a.activation.range" || parameter.name == "b.activation.range")
      for (int i = 0; i < 2; ++i) t.mutable_data<float>()[i] = i == 0 ? -1e-5f : 1e-5f;
  }
  CHECK_ERROR(bpu::compile(model), "compile: the model does not fit the nash:\n  a: no 15-bit multiplier");
  CHECK_ERROR(bpu::compile(model), "\n  b: no 15-bit multiplier");
}
