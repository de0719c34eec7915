// Every pattern that is fused, from the module to the integers of all who compute it.

#include "patterns.h"
#include "../../quant/fuse.h"
#include "../../quant/fused_conv.h"
#include "../bpu/agreement.h"

using namespace sinter;
using namespace sinter::quant;
using test::Pattern;

namespace {

// A pattern alone, or in front of a head, so that its output is not of high precision.
struct Headed : nn::Module {
  Pattern pattern;
  bool headed;
  nn::Conv2d image_head{{.in = 4, .out = 3, .kernel = 1}};
  nn::Linear head{{.in = 4, .out = 3}};
  SINTER_CHILDREN(pattern, image_head, head)

  Headed(Pattern of, bool with_head) : pattern(std::move(of)), headed(with_head) {}
  std::vector<Tensor> forward_all(std::span<const Tensor> x) const override {
    const Tensor y = pattern(x)[0];
    return {!headed ? y : pattern.layer == "linear" ? head(y) : image_head(y)};
  }
};

// Exactly one layer has all of the pattern.
void check_fused(const PreparedModel& model, const Pattern& pattern, bool headed, const std::string& batch_norm) {
  const Graph& graph = model.graph();
  REQUIRE(graph.nodes.size() == (headed ? 2 : 1));
  CHECK(unfused_patterns(graph).empty());
  const Node& node = graph.nodes[0];
  CHECK(node.name == "pattern." + pattern.layer);
  const FusedConv* conv = fused_conv(node);
  REQUIRE(conv != nullptr);
  CHECK(conv->attributes.activation == pattern.activation);
  CHECK(conv->attributes.transposed == (pattern.layer == "transposed"));
  CHECK(conv->attributes.linear == (pattern.layer == "linear"));
  CHECK(conv->attributes.batch_norm == (pattern.normalised && batch_norm == "with_bn"));
  CHECK((skip_of(node) != nullptr) == (pattern.added > 0));
  CHECK(model.is_head(0) == (!headed && pattern.added == 0 && pattern.activation == "none"));
}

void train(PreparedModel& model, const std::vector<Tensor>& x) {
  const Tensor y = model(std::span<const Tensor>(x))[0];
  y.backward(test::normal(y.shape(), 9));
  for (const NamedParameter& parameter : model.parameters()) {
    CAPTURE(parameter.name);
    Tensor value = parameter.value.tensor();
    const Tensor gradient = value.grad();
    REQUIRE(gradient.defined());
    for (int64_t i = 0; i < value.elements(); ++i) value.mutable_data<float>()[i] -= 1e-2f * gradient.data<float>()[i];
    value.set_grad({});
  }
}

void check_all_patterns(const March& march) {
  for (const Pattern& pattern : test::all_patterns())
    for (const bool headed : {false, true})
      for (const std::string batch_norm : {"fuse_bn", "with_bn"}) {
        if (!pattern.normalised && batch_norm == "with_bn") continue;
        if (march == March::bernoulli && headed == (batch_norm == "with_bn")) continue;  // half of them will do
        CAPTURE(pattern.name());
        CAPTURE(headed);
        CAPTURE(batch_norm);
        // Values for which a ReLU6 has both its ends.
        Headed net = test::randomized(Headed(pattern, headed), 3);
        net.eval();
        const auto x = pattern.inputs(3, 1, 14);
        PreparedModel model = prepare_qat(net, x, {.batch_norm = batch_norm, .march = march});
        check_fused(model, pattern, headed, batch_norm);
        set_fake_quantize(model, FakeQuantState::calibration);
        for (uint64_t batch = 2; batch < 4; ++batch) {
          const auto calibration = pattern.inputs(16, batch, 14);
          model(std::span<const Tensor>(calibration));
        }
        const NoGrad no_grad;
        const Tensor expected = net(std::span<const Tensor>(x))[0];
        const Tensor found = test::check_agreement(model, x)[0];
        double error = 0, power = 0;
        for (int64_t i = 0; i < found.elements(); ++i) {
          error += std::pow(found.data<float>()[i] - expected.data<float>()[i], 2);
          power += std::pow(expected.data<float>()[i], 2);
        }
        CHECK(error < 0.02 * power);
      }
}

}  // namespace

TEST_CASE("every pattern is one layer whose integers are the same for all, with both batch-norm modes") {
  const test::OneThread one;
  check_all_patterns(March::bayes);
  check_all_patterns(March::bernoulli);
}

TEST_CASE("every pattern trains, and its integers are the same for all afterwards") {
  const test::OneThread one;
  for (const Pattern& pattern : test::all_patterns()) {
    const std::string batch_norm = pattern.normalised && pattern.added != 1 ? "with_bn" : "fuse_bn";
    CAPTURE(pattern.name());
    const auto x = pattern.inputs(4, 1, 4);
    PreparedModel model =
        prepare_qat(test::randomized(Headed(pattern, true), 4), x, {.batch_norm = batch_norm, .march = March::bayes});
    for (uint64_t step = 2; step < 5; ++step) train(model, pattern.inputs(4, step, 4));
    test::check_agreement(model, x);
  }
}
