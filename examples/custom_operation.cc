// An operation of one's own, with its gradient: trained in float, left float in QAT and in the program, which is saved
// and loaded. (A layer of one's own makes integers of it: quant::RegisteredLayer, quant/layers/layer.h.)

#include "common.h"

using namespace sinter;

namespace {

struct ShrinkAttributes {
  double threshold = 0.1;
};
SINTER_FIELDS(ShrinkAttributes, threshold)

// Soft thresholding, sign(x) max(|x| - threshold, 0): what is small is noise (Donoho, 1995). Its gradient is 1 where
// something is left.
struct Shrink final : OpWith<ShrinkAttributes> {
  // A file may say anything: what makes no sense is refused here.
  Shrink(const ShrinkAttributes& a = {}) : OpWith(a) {
    check(a.threshold >= 0, "shrink: threshold is ", a.threshold, ", expected 0 or more");
  }
  std::string_view name() const override { return "shrink"; }
  Specs infer(std::span<const Spec> x) const override {
    check(x.size() == 1 && x[0].dtype == DType::float32, "shrink: expected one float32 tensor");
    return {x[0]};
  }
  void forward(Inputs x, Outputs y, Context& context) const override {
    const auto threshold = static_cast<float>(attributes.threshold);
    const float* in = x[0].data<float>();
    float* out = y[0].mutable_data<float>();
    parallel_for(x[0].elements(), 1 << 14, [&](int64_t begin, int64_t end) {
      for (int64_t i = begin; i < end; ++i) {
        const float v = in[i], clipped = std::clamp(v, -threshold, threshold);
        out[i] = v - clipped;
      }
    });
    context.keep(y[0]);
  }
  void backward(const Context& context, Outputs dy, Gradients& dx) const override {
    const Tensor y = context.kept(0);
    const float *kept = y.data<float>(), *gradient = dy[0].data<float>();
    float* out = dx.create(0).mutable_data<float>();
    parallel_for(y.elements(), 1 << 14, [&](int64_t begin, int64_t end) {
      for (int64_t i = begin; i < end; ++i) out[i] = kept[i] != 0 ? gradient[i] : 0;
    });
  }
};
const RegisteredOp<Shrink> registered;  // programs that hold one can be loaded by this program

Tensor shrink(const Tensor& x, const ShrinkAttributes& attributes = {}) { return call(Shrink{attributes}, x); }

struct Net : nn::Module {
  nn::Conv2d first{{.in = 1, .out = 16, .kernel = 3, .stride = 2, .padding = 1}};
  nn::Conv2d second{{.in = 16, .out = 32, .kernel = 3, .stride = 2, .padding = 1}};
  nn::Linear head{{.in = 32, .out = 10}};
  SINTER_CHILDREN(first, second, head)

  Tensor forward(const Tensor& x) const override {
    return head(mean(relu(second(shrink(first(x), {.threshold = 0.25}))), {1, 2}));
  }
};

void example(const examples::Bench& bench) {
  const examples::Options& o = bench.options;
  Net net;
  nn::fit(net, bench.train, examples::training(o, o.epochs, 0.1));
  examples::print("with shrink, float", nn::evaluate(net, bench.test));

  // By its name like any operation; the model says which operations stay float.
  auto model = quant::prepare_qat(net, bench.example,
                                  {.by_type = {{"shrink", quant::run_in_float()}}, .march = quant::March::bayes});
  examples::calibrate(model, bench);
  examples::print("calibrated", nn::evaluate(model, bench.test));
  examples::train_quantised(model, bench, 0.01);
  const nn::Evaluation trained = nn::evaluate(model, bench.test);
  examples::print("QAT", trained);

  const std::string path = o.output + "/custom_operation.program";
  bpu::save(bpu::compile(model), path);
  const bpu::Simulator simulator(bpu::load_program(path));
  const nn::Evaluation simulated = nn::evaluate(simulator, bench.test);
  examples::print("program, saved and loaded", simulated);
  check(simulated.accuracy == trained.accuracy && simulated.loss == trained.loss, "the program differs from the model");
}

}  // namespace

int main(int argc, char** argv) {
  return examples::run(argc, argv, "Trains a network with an operation that is written here, to a program.", example,
                       examples::Trained::nothing);
}
