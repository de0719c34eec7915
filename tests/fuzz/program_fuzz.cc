// libFuzzer target: a program file is refused, or its program runs, and where the witness finds the program's integers
// right, it finds the simulator's right, too. At most small ones are run.

#include <cstdio>
#include <cstring>

#include "../../bpu/compile.h"
#include "../../bpu/reference.h"
#include "../../bpu/simulator.h"
#include "../../core/file.h"
#include "../../core/ops/arithmetic.h"
#include "../../core/ops/avg_pool2d.h"
#include "../../core/ops/concat.h"
#include "../../core/ops/matmul.h"
#include "../../core/ops/max_pool2d.h"
#include "../../core/ops/pad.h"
#include "../../core/ops/permute.h"
#include "../../core/ops/pixel_shuffle.h"
#include "../../core/ops/reduce.h"
#include "../../core/ops/relu.h"
#include "../../core/ops/relu6.h"
#include "../../core/ops/reshape.h"
#include "../../core/ops/resize.h"
#include "../../core/ops/sigmoid.h"
#include "../../core/ops/slice.h"
#include "../../core/ops/softmax.h"
#include "../../core/random.h"
#include "../../nn/layers/conv2d.h"
#include "../../nn/layers/conv_transpose2d.h"
#include "../../nn/layers/linear.h"
#include "../../nn/layers/prelu.h"
#include "../../quant/prepare.h"
#include "archive_mutator.h"

using namespace sinter;

namespace {

constexpr int64_t kMostElements = 1 << 14, kMostMacs = 1 << 20;

// Every layer once.
struct Net : nn::Module {
  nn::Conv2d stem{{.in = 3, .out = 8, .kernel = 3, .padding = 1}}, skip{{.in = 8, .out = 8, .kernel = 1}};
  nn::ConvTranspose2d up{{.in = 8, .out = 4, .kernel = 2, .stride = 2}};
  nn::PReLU prelu{{.channels = 8}};
  nn::Linear head{{.in = 16, .out = 3}};
  Tensor factors = Tensor::from({8}, std::vector<float>{1, -1, 0.5f, 2, 0.25f, 1, 0, -2});
  Tensor divisors = Tensor::from({8}, std::vector<float>{1, -1, 0.5f, 2, 0.25f, 1, 3, -2});
  SINTER_CHILDREN(stem, skip, up, prelu, head)
  Tensor forward(const Tensor& x) const override {
    Tensor y = prelu(stem(x));
    y = relu(skip(max_pool2d(y, {.kernel = 2}))) + avg_pool2d(y, {.kernel = 2});
    y = concat({up(y), resize_bilinear(slice(y, {.axis = 3, .begin = 0, .end = 4}), 2)}, 3);
    y = pixel_shuffle(concat({y, y, y, y}, 3), {.upscale = 2});
    y = y * sigmoid(mean(y, {1, 2}, true)) + relu(0.5 * y - 0.25);
    const Tensor tokens = reshape(slice(y, {.axis = 1, .begin = 0, .end = 2}), {-1, 16, 8}) * factors / divisors;
    const Tensor scores = matmul(tokens, permute(tokens, {0, 2, 1}));
    const Tensor mixed = matmul(relu(scores - max(scores, {-1}, true)), tokens);
    const Tensor all = concat({mean(pad(y, {.before = {0, 1, 0, 0}, .after = {}}), {1, 2}), mean(mixed, {1})}, 1);
    return softmax(head(relu6(all)), -1);
  }
};

const std::vector<Archive::Bytes>& seeds() {
  static const auto& all = *new std::vector<Archive::Bytes>([] {
    std::vector<Archive::Bytes> made;
    Random random(1);
    const Tensor x = Tensor::normal({1, 6, 4, 3}, random);
    for (const auto* march : {&quant::March::bayes, &quant::March::bernoulli, &quant::March::nash}) {
      auto model = quant::prepare_qat(Net{}, x, {.by_type = {{"softmax", quant::run_in_float()}}, .march = *march});
      quant::set_fake_quantize(model, quant::FakeQuantState::calibration);
      model(x);
      quant::set_fake_quantize(model, quant::FakeQuantState::validation);
      const std::string path = text("/tmp/program_fuzz.", static_cast<int64_t>(getpid()));
      bpu::save(bpu::compile(model), path);
      made.push_back(read_file(path));
      std::remove(path.c_str());
    }
    return made;
  }());
  return all;
}

bool is_small(const bpu::Program& p) {
  int64_t elements = 0, macs = 0;
  for (const bpu::Value& value : p.values) elements += std::min(value.shape.elements(), kMostElements);
  for (const bpu::Instruction& step : p.instructions) {
    const int64_t outputs = std::min(p.values[step.output].shape.elements(), kMostElements);
    int64_t each = step.weight.defined() ? step.weight.elements() / step.weight.size(0) : 1;
    if (step.op != nullptr)
      for (const Field& field : step.op->fields())  // windows of pools, borders
        if (const auto* sizes = std::get_if<std::vector<int64_t>>(&field.value))
          for (const int64_t size : *sizes) each = std::max(each, size > (1 << 20) ? kMostMacs : size * size);
    macs += outputs * std::min(each, kMostMacs);
  }
  return elements < kMostElements && macs < kMostMacs;
}

}  // namespace

extern "C" size_t LLVMFuzzerCustomMutator(uint8_t* data, size_t size, size_t max_size, unsigned int seed) {
  return fuzz::mutate(data, size, max_size, seed, "program", seeds());
}

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const fuzz::File file(data, size);
  bpu::Program program;
  try {
    program = bpu::load_program(file.path());
  } catch (const Error&) {
    return 0;
  }
  if (!is_small(program)) return 0;
  std::vector<Tensor> x;
  Random random(7);
  for (const int input : program.inputs) x.push_back(Tensor::normal(program.values[input].shape, random));
  // Nothing that the check lets pass may fail.
  const bpu::Simulator simulator(program);
  const auto results = simulator(x);
  std::vector<Tensor> expected;
  try {
    expected = bpu::Reference(program).inspect(x, nullptr);
  } catch (const Error&) {  // integers that the scales do not ask for
    return 0;
  }
  for (size_t i = 0; i < results.size(); ++i) {
    if (results[i].spec() != expected[i].spec()) std::abort();
    if (results[i].elements() > 0 &&
        std::memcmp(results[i].data<float>(), expected[i].data<float>(), static_cast<size_t>(results[i].bytes())) != 0)
      std::abort();
  }
  return 0;
}
