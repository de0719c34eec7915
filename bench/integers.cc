// Layers of integer programs beside their float operations: where a value has a quarter of the bytes, nothing should
// take longer.

#include "../core/ops/concat.h"
#include "../core/ops/matmul.h"
#include "../core/ops/pad.h"
#include "../core/ops/permute.h"
#include "../core/ops/pixel_shuffle.h"
#include "../core/ops/reduce.h"
#include "../core/ops/slice.h"
#include "../quant/layers/list.h"
#include "../quant/layers/table.h"
#include "measure.h"

#include <sinter/sinter.h>

namespace sinter::bench {

namespace {

using quant::Instruction;
using Function = std::function<Tensor(const std::vector<Tensor>&)>;

struct Layer {
  std::string name;
  std::string layer;
  std::shared_ptr<const Op> op;
  std::vector<Shape> x;
  size_t rescalings = 0;
  Function f{};  // where it is not `op`
};

Tensor call_float(const Layer& layer, const std::vector<Tensor>& x) {
  const NoGrad no_grad;
  return layer.f ? layer.f(x) : call_all(layer.op, x)[0];
}

std::vector<Tensor> inputs(const Layer& layer, DType dtype) {
  Random random(1);
  std::vector<Tensor> x;
  for (const Shape& shape : layer.x)
    x.push_back(Tensor::normal(shape, random, dtype == DType::float32 ? 1 : 30).to(dtype));
  return x;
}

Work integers(const Layer& layer, DType dtype) {
  const quant::Bounds type = dtype == DType::int8 ? quant::Bounds{} : quant::Bounds{-32768, 32767};
  const quant::Grid grid{1.0f / 16, type, dtype, dtype == DType::int8 ? 8 : 16};
  Instruction step;
  step.layer = layer.layer;
  step.op = layer.op;
  step.rescale.assign(layer.rescalings,
                      quant::March::bayes.datapath->sum(0.7 / 16, 0.4 / 16, dtype == DType::int8 ? 8 : 16, grid));
  if (layer.layer == "table")
    step.table = quant::make_table(quant::table_function(*layer.op), grid, grid, quant::Rounding::half_to_even);
  const Shape shape = call_float(layer, inputs(layer, DType::float32)).shape();
  return [=, x = inputs(layer, dtype)] { quant::run_layer({step, x, shape, grid, quant::March::bayes}); };
}

void add_layer(const Layer& layer) {
  const auto cell = [&](const std::string& column, std::function<Work()> make) {
    add({.section = "layer", .row = layer.name, .column = column, .baseline = column == "float", .make = make});
  };
  cell("float", [layer]() -> Work { return [layer, x = inputs(layer, DType::float32)] { call_float(layer, x); }; });
  cell("int8", [layer] { return integers(layer, DType::int8); });
  cell("int16", [layer] { return integers(layer, DType::int16); });
}

template <class O, class... Attributes>
std::shared_ptr<const Op> op(Attributes... attributes) {
  return std::make_shared<const O>(attributes...);
}

std::vector<Layer> layers() {
  const Shape image{8, 56, 56, 32}, small{8, 28, 28, 32}, few{16, 56, 56, 8}, few_values{1, 7, 7, 32};
  const auto max_pool = [](const MaxPoolAttributes& a) { return op<ops::MaxPool2d>(a); };
  const auto avg_pool = [](const AvgPoolAttributes& a) { return op<ops::AvgPool2d>(a); };
  const auto resize = [](const ResizeAttributes& a) { return op<ops::Resize>(a); };
  const auto slice = [](const SliceAttributes& a) { return op<ops::Slice>(a); };
  return {
      {"max_pool 3x3", "max_pool", max_pool({.kernel = 3, .stride = 1, .padding = 1}), {image}},
      {"max_pool 3x3, 8 channels", "max_pool", max_pool({.kernel = 3, .stride = 1, .padding = 1}), {few}},
      {"max_pool 3x3 stride 2", "max_pool", max_pool({.kernel = 3, .stride = 2, .padding = 1}), {image}},
      {"max_pool 2x2", "max_pool", max_pool({.kernel = 2}), {image}},
      {"avg_pool 3x3", "avg_pool", avg_pool({.kernel = 3, .stride = 1, .padding = 1}), {image}, 1},
      {"avg_pool 3x3, 8 channels", "avg_pool", avg_pool({.kernel = 3, .stride = 1, .padding = 1}), {few}, 1},
      {"avg_pool 2x2", "avg_pool", avg_pool({.kernel = 2}), {image}, 1},
      {"mean", "mean", op<ops::Mean>(ReduceAttributes{{1, 2}}), {image}, 1},
      {"mean of channels", "mean", op<ops::Mean>(ReduceAttributes{{3}}), {image}, 1},
      {"max", "max", op<ops::Max>(ReduceAttributes{{1, 2}}), {image}},
      {"resize nearest x2", "resize", resize({.scale = 2}), {small}},
      {"resize bilinear x2", "resize", resize({.scale = 2, .mode = "bilinear"}), {small}},
      {"resize bilinear x2, 8 channels", "resize", resize({.scale = 2, .mode = "bilinear"}), {{16, 28, 28, 8}}},
      {"resize bilinear x1.7", "resize", resize({.scale = 1.7, .mode = "bilinear"}), {small}},
      {"pad", "pad", op<ops::Pad>(PadAttributes{{0, 1, 1, 0}, {0, 1, 1, 0}}), {image}},
      {"pixel_shuffle 2", "pixel_shuffle", op<ops::PixelShuffle>(PixelShuffleAttributes{2}), {{8, 28, 28, 128}}},
      {"pixel_shuffle 3", "pixel_shuffle", op<ops::PixelShuffle>(PixelShuffleAttributes{3}), {{8, 28, 28, 144}}},
      {"slice of channels", "slice", slice({.axis = 3, .begin = 8, .end = 24}), {image}},
      {"slice, every second column", "slice", slice({.axis = 2, .step = 2}), {image}},
      {"slice, every second channel", "slice", slice({.axis = 3, .step = 2}), {image}},
      {"concat of channels", "concat", op<ops::Concat>(ConcatAttributes{3}), {{8, 56, 56, 16}, {8, 56, 56, 24}}, 2},
      {"add", "add", op<ops::Add>(), {image, image}, 1},
      {"mul", "mul", op<ops::Mul>(), {image, image}, 1},
      {"mul by channels", "mul", op<ops::Mul>(), {image, {8, 1, 1, 32}}, 1},
      {"sigmoid", "table", op<ops::Sigmoid>(), {image}},
      {"hardswish", "table", op<ops::Hardswish>(), {image}},
      {"leaky_relu", "table", op<ops::LeakyRelu>(LeakyReluAttributes{0.1}), {image}},
      {"prelu",
       "prelu",
       nullptr,
       {image},
       32,
       [w = Tensor::full({32}, 0.25)](const auto& x) { return prelu(x[0], w); }},
      {"permute to NCHW", "permute", op<ops::Permute>(PermuteAttributes{{0, 3, 1, 2}}), {image}},
      {"permute of tokens", "permute", op<ops::Permute>(PermuteAttributes{{0, 2, 1, 3}}), {{8, 196, 4, 32}}},
      {"matmul", "matmul", op<ops::Matmul>(), {{8, 4, 196, 32}, {8, 4, 32, 196}}, 1},
      {"add, small", "add", op<ops::Add>(), {few_values, few_values}, 1},
      {"max_pool 2x2, small", "max_pool", max_pool({.kernel = 2}), {few_values}},
      {"avg_pool 2x2, small", "avg_pool", avg_pool({.kernel = 2}), {few_values}, 1},
      {"pad, small", "pad", op<ops::Pad>(PadAttributes{{0, 1, 1, 0}, {0, 1, 1, 0}}), {few_values}},
      {"resize bilinear x2, small", "resize", resize({.scale = 2, .mode = "bilinear"}), {few_values}},
      {"sigmoid, small", "table", op<ops::Sigmoid>(), {few_values}},
      {"relu6", "clamp", op<ops::Relu6>(), {image}},
  };
}

// A program of nothing but its high-precision head, with images quantised on the way in.
struct Head : nn::Module {
  nn::Conv2d conv{{.in = 8, .out = 11, .kernel = 1}};
  SINTER_CHILDREN(conv)
  Tensor forward(const Tensor& x) const override { return conv(x); }
};

void add_head() {
  const auto x = [] {
    Random random(1);
    return Tensor::normal({16, 64, 64, 8}, random);
  };
  const auto cell = [](const std::string& column, std::function<Work()> make) {
    add({.section = "program", .row = "1x1 head 8->11", .column = column, .baseline = column == "float", .make = make});
  };
  cell("float", [x]() -> Work {
    return [x = x(), head = Head()] {
      const NoGrad no_grad;
      head(x);
    };
  });
  cell("int8", [x]() -> Work {
    auto model = quant::prepare_qat(Head(), x());
    quant::set_fake_quantize(model, quant::FakeQuantState::calibration);
    model(x());
    quant::set_fake_quantize(model, quant::FakeQuantState::validation);
    return [x = x(), s = std::make_shared<const bpu::Simulator>(bpu::compile(model))] { (*s)(x); };
  });
}

}  // namespace

void add_all() {
  for (const Layer& layer : layers()) add_layer(layer);
  add_head();
}

}  // namespace sinter::bench
