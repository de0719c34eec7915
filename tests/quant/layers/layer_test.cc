// The list of layers, and one of a user's own.
#include "../../../quant/layers/layer.h"

#include "../../../bpu/compile.h"
#include "../../../bpu/reference.h"
#include "../../../bpu/simulator.h"
#include "../../../core/ops/unary.h"
#include "../../../core/registered_op.h"
#include "../../../nn/layers/conv2d.h"
#include "../../../quant/prepare.h"
#include "../../data/files.h"
#include "../networks.h"

using namespace sinter;
using namespace sinter::quant;

namespace {

// An operation of a user's own: every second value of the last axis with its sign turned.
struct Alternate final : Op {
  std::string_view name() const override { return "alternate"; }
  Specs infer(std::span<const Spec> x) const override { return {x[0]}; }
  void forward(Inputs x, Outputs y, Context&) const override {
    turn(x[0].data<float>(), y[0].mutable_data<float>(), y[0]);
  }
  void backward(const Context&, Outputs dy, Gradients& dx) const override {
    Tensor result = Tensor::empty(dy[0].shape());
    turn(dy[0].data<float>(), result.mutable_data<float>(), result);
    dx.set(0, result);
  }
  template <class T>
  static void turn(const T* from, T* to, const Tensor& like) {
    for (int64_t i = 0; i < like.elements(); ++i) to[i] = static_cast<T>(i % 2 == 0 ? from[i] : -from[i]);
  }
};
const RegisteredOp<Alternate> registered_op;

// And its layer: -128 becomes 127.
class AlternateLayer final : public Layer {
 public:
  std::string_view name() const override { return "alternate"; }
  Answer takes(const Graph&, const Node& node) const override {
    return node.op->name() == "alternate" ? yes() : not_mine();
  }
  bool passes() const override { return true; }
  bool may_be_negative(const Graph&, const Node&, bool) const override { return true; }
  void lower(const Lowering& from, Instruction&, Grid& y) const override {
    y = from.x[0];
    y.bounds = type_bounds(y.bits);
  }
  void run(const Running& r, Tensor& y) const override {
    const auto* x = r.x[0].data<int8_t>();
    auto* out = y.mutable_data<int8_t>();
    for (int64_t i = 0; i < y.elements(); ++i) out[i] = static_cast<int8_t>(i % 2 == 0 ? x[i] : std::min(-x[i], 127));
  }
  void check(const IntegerProgram&, const Instruction& step) const override {
    sinter::check(step.op != nullptr && step.op->name() == "alternate" && step.inputs.size() == 1,
                  "is no alternation of one value");
  }
};

// A function of a user's own: the layer `table` takes it.
struct Cubed final : Op, ops::Pointwise {
  std::string_view name() const override { return "cubed"; }
  double at(double x) const override { return x * x * x; }
  Specs infer(std::span<const Spec> x) const override { return {x[0]}; }
  void forward(Inputs x, Outputs y, Context&) const override {
    for (int64_t i = 0; i < x[0].elements(); ++i)
      y[0].mutable_data<float>()[i] = static_cast<float>(at(x[0].data<float>()[i]));
  }
};
const RegisteredOp<Cubed> registered_function;

template <class O>
struct Net : nn::Module {
  nn::Conv2d first{{.in = 3, .out = 4, .kernel = 1}}, last{{.in = 4, .out = 2, .kernel = 1}};
  SINTER_CHILDREN(first, last)
  Tensor forward(const Tensor& x) const override { return last(call(O{}, relu(first(x)))); }
};

}  // namespace

TEST_CASE("layers are found by name") {
  CHECK(layer_named("conv").name() == "conv");
  CHECK_ERROR(layer_named("convolution"), "layer 'convolution' is unknown, expected one of: add, ");
  CHECK_ERROR(layer_named("convolution"), "one of your own is to be registered before (quant::RegisteredLayer)");
}

TEST_CASE("a layer of a user's own is prepared, trained, compiled, saved and loaded like the others") {
  const Tensor x = test::images({3, 4, 4, 3}, 1);
  const auto net = test::randomized(Net<Alternate>{});
  CHECK_ERROR(prepare_qat(net, x), "alternate: no integer form of alternate is known here; set it to float");
  static const RegisteredLayer<AlternateLayer> registered;
  PreparedModel model = prepare_qat(net, x);
  set_fake_quantize(model, FakeQuantState::calibration);
  model(x);
  set_fake_quantize(model, FakeQuantState::qat);
  model(x).backward(Tensor::ones({3, 4, 4, 2}));
  set_fake_quantize(model, FakeQuantState::validation);
  const Tensor validated = model(x);
  CHECK_CLOSE(validated, net(x).detach(), 0.1, 0.1);
  const test::TemporaryDirectory directory;
  bpu::save(bpu::compile(model), directory / "program");
  const bpu::Program program = bpu::load_program(directory / "program");
  CHECK_SAME(bpu::Simulator(program)(x), validated);
  CHECK_ERROR(bpu::Reference{bpu::Program(program)}, "reference: it has no twin of the layer 'alternate'");
}

TEST_CASE("a function of a user's own is a table, which the simulator runs and the reference does not know") {
  const Tensor x = test::images({3, 4, 4, 3}, 1);
  PreparedModel model = prepare_qat(test::randomized(Net<Cubed>{}), x);
  set_fake_quantize(model, FakeQuantState::calibration);
  model(x);
  set_fake_quantize(model, FakeQuantState::validation);
  const bpu::Program program = bpu::compile(model);
  CHECK_SAME(bpu::Simulator(program)(x), model(x));
  CHECK_ERROR(bpu::Reference{bpu::Program(program)},
              "reference: its twin of the layer 'table' does not know the "
              "operation 'cubed'; compare with the simulator alone");
}
