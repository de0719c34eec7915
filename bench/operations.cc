// Operations beside oneDNN's own time for the same primitive: what is above 1 is our overhead, what is below it is
// work that we do in another way.

#include "../core/ops/conv2d_geometry.h"
#include "../quant/integer/conv.h"
#include "../quant/integer/requantize.h"
#include "measure.h"
#include "onednn_work.h"

#include <sinter/sinter.h>

namespace sinter::bench {

namespace {

struct Layer {
  std::string name;
  Shape x, weight;  // [N,H,W,I], [O,KH,KW,I/groups]
  ConvAttributes attributes{};

  Shape y() const { return ops::conv2d_shape("bench", attributes, x, weight, nullptr); }
  onednn::Convolution geometry() const { return ops::geometry(attributes, x, weight, y()); }
};

std::vector<Layer> layers() {
  return {
      {"ResNet-20 3x3 16->16 at 32", {128, 32, 32, 16}, {16, 3, 3, 16}, {.padding = 1}},
      {"ResNet-20 3x3 stride 2 16->32 at 32", {128, 32, 32, 16}, {32, 3, 3, 16}, {.stride = 2, .padding = 1}},
      {"ResNet-20 1x1 stride 2 16->32 at 32", {128, 32, 32, 16}, {32, 1, 1, 16}, {.stride = 2}},
      {"ResNet-20 3x3 64->64 at 8", {128, 8, 8, 64}, {64, 3, 3, 64}, {.padding = 1}},
      {"ResNet-18 7x7 stride 2 3->64 at 64", {32, 64, 64, 3}, {64, 7, 7, 3}, {.stride = 2, .padding = 3}},
      {"ResNet-18 3x3 64->64 at 16", {32, 16, 16, 64}, {64, 3, 3, 64}, {.padding = 1}},
      {"ResNet-18 3x3 stride 2 128->256 at 8", {32, 8, 8, 128}, {256, 3, 3, 128}, {.stride = 2, .padding = 1}},
      {"ResNet-18 3x3 512->512 at 2", {32, 2, 2, 512}, {512, 3, 3, 512}, {.padding = 1}},
      {"MobileNetV2 1x1 24->144 at 32", {32, 32, 32, 24}, {144, 1, 1, 24}},
      {"MobileNetV2 3x3 depthwise 144 at 32", {32, 32, 32, 144}, {144, 3, 3, 1}, {.padding = 1, .groups = 144}},
      {"MobileNetV2 3x3 stride 2 depthwise 144 at 32",
       {32, 32, 32, 144},
       {144, 3, 3, 1},
       {.stride = 2, .padding = 1, .groups = 144}},
      {"MobileNetV2 1x1 144->32 at 16", {32, 16, 16, 144}, {32, 1, 1, 144}},
  };
}

Tensor normal(const Shape& shape) {
  Random random(1);
  return Tensor::normal(shape, random);
}

// Forward, as in training: what backward needs is kept. With a gradient to pass, backward instead.
using Function = std::function<Tensor(const std::vector<Tensor>&)>;
Work forward(const Function& f, std::vector<Tensor> x) {
  return [f, x = std::move(x)] { f(x); };
}
Work backward(const Function& f, std::vector<Tensor> x, size_t wanted) {
  x[wanted].set_requires_grad(true);
  const Tensor y = f(x);
  return [y, dy = normal(y.shape()), leaf = x[wanted]]() mutable {
    y.backward(dy, true);
    leaf.set_grad({});
  };
}

void add_pair(const std::string& section, const std::string& row, const std::function<Work()>& onednn,
              const std::function<Work()>& ours) {
  add({.section = section, .row = row, .column = "oneDNN", .baseline = true, .make = onednn});
  add({.section = section, .row = row, .column = "sinter", .make = ours});
}

void add_convolutions(const Layer& layer) {
  const Function f = [a = layer.attributes](const std::vector<Tensor>& x) { return conv2d(x[0], x[1], {}, a); };
  const auto inputs = [layer] { return std::vector<Tensor>{normal(layer.x), normal(layer.weight)}; };
  const auto of = [c = layer.geometry()](Pass pass) { return [c, pass] { return onednn_convolution(pass, c); }; };
  add_pair("convolution forward", layer.name, of(Pass::forward), [=] { return forward(f, inputs()); });
  add_pair("convolution backward data", layer.name, of(Pass::backward_data), [=] { return backward(f, inputs(), 0); });
  add_pair("convolution backward weights", layer.name, of(Pass::backward_weights),
           [=] { return backward(f, inputs(), 1); });
}

void add_operations() {
  const auto op = [](const std::string& row, const std::function<Work()>& onednn, const Function& f,
                     const std::vector<Shape>& shapes) {
    const auto inputs = [shapes] {
      std::vector<Tensor> x;
      for (const Shape& shape : shapes) x.push_back(normal(shape));
      return x;
    };
    add_pair("operation forward", row, onednn, [=] { return forward(f, inputs()); });
    add({.section = "operation backward", .row = row, .column = "sinter", .make = [=] {
           return backward(f, inputs(), 0);
         }});
  };
  const Shape image{128, 32, 32, 16};
  op(
      "linear 128x512 -> 1000", [] { return onednn_linear(128, 512, 1000); },
      [](const auto& x) { return linear(x[0], x[1], x[2]); }, {{128, 512}, {1000, 512}, {1000}});
  op(
      "batch_norm 128x32x32x16", [=] { return onednn_batch_norm(image); },
      [](const auto& x) {
        const TrainingMode mode(true);
        return batch_norm(x[0], x[1], x[2], x[3], x[4]);
      },
      {image, {16}, {16}, {16}, {16}});
  op(
      "relu 128x32x32x16", [=] { return onednn_relu(image); }, [](const auto& x) { return relu(x[0]); }, {image});
  op(
      "add 128x32x32x16", [=] { return onednn_add(image); }, [](const auto& x) { return x[0] + x[1]; }, {image, image});
  op(
      "max_pool2d 3x3 stride 2 128x32x32x64",
      [] {
        return onednn_max_pool({128, 32, 32, 64});
      },
      [](const auto& x) { return max_pool2d(x[0], {.kernel = 3, .stride = 2, .padding = 1}); }, {{128, 32, 32, 64}});
  op(
      "softmax 128x1000", [] { return onednn_softmax(128, 1000); }, [](const auto& x) { return softmax(x[0]); },
      {{128, 1000}});
}

// Integers low..high, one after the other.
Tensor integers(const Shape& shape, int low, int high) {
  Tensor result = Tensor::empty(shape, DType::int8);
  auto* values = result.mutable_data<int8_t>();
  for (int64_t i = 0; i < result.elements(); ++i) values[i] = static_cast<int8_t>(low + i % (high - low + 1));
  return result;
}

// To accumulators, or, in slices, to int8: the source as after a ReLU, weights of up to `reach`.
Work integer_layer(const Layer& layer, int reach, bool requantized) {
  constexpr quant::Grid kSource{1, {0, 127}};
  const Tensor x = integers(layer.x, 0, 127), weight = integers(layer.weight, reach / 2, reach);
  const auto channels = static_cast<size_t>(layer.weight[0]);
  const quant::Datapath& datapath = *quant::March::bayes.datapath;
  const quant::Requantizer r(datapath,
                             {std::vector<int32_t>(channels, 100),
                              std::vector<quant::Rescaling>(channels, datapath.accumulator(1.0 / 1024, quant::Grid{1})),
                              {}});
  return [=, c = layer.geometry(), weights = quant::integer_weights(weight, kSource, true, "bench"),
          acc = Tensor::empty(layer.y(), DType::int32), y = Tensor::empty(layer.y(), DType::int8)]() mutable {
    if (requantized)
      quant::integer_layer(c, x, kSource, weights, {}, r, y);
    else
      quant::integer_convolution(c, x, kSource, weights, acc);
  };
}

void add_integers(const Layer& layer) {
  const std::string section = "int8 convolution";
  const onednn::Convolution c = layer.geometry();
  constexpr int kSmall = 10;
  add_pair(
      section, layer.name, [=] { return onednn_int8_convolution(c, false); },
      [=] { return integer_layer(layer, kSmall, false); });
  add({.section = section, .row = layer.name, .column = "sinter to int8", .make = [=] {
         return integer_layer(layer, kSmall, true);
       }});
  add({.section = section, .row = layer.name, .column = "oneDNN to int8", .make = [=] {
         return onednn_int8_convolution(c, true);
       }});
}

// The same layer with weights so small that one call of oneDNN's sums them exactly, and with the largest.
void add_splitting(const Layer& layer) {
  const auto parts =
      quant::integer_weights(integers(layer.weight, 63, 127), quant::Grid{1, {0, 127}}, true, "bench").parts.size();
  for (const auto& [column, reach] : {std::pair{"whole", 10}, std::pair{"split", 127}})
    add({.section = "int8 convolution, split",
         .row = text(layer.name, " in ", parts, " parts"),
         .column = column,
         .baseline = reach < 127,
         .make = [layer, reach = reach] { return integer_layer(layer, reach, false); }});
}

// Accumulators to int8, by numbers of each channel: what every layer ends with. `single` is computed in doubles.
Work requantization(const Shape& shape, const quant::March& march, bool adds) {
  const int64_t channels = shape[shape.rank() - 1];
  const quant::Grid skip{0.5f}, y{1};
  std::vector<quant::Rescaling> by;
  for (int64_t c = 0; c < channels; ++c) {
    const double unit = (1.0 + static_cast<double>(c) / static_cast<double>(channels)) / 4096;
    by.push_back(adds ? march.datapath->residual(unit, skip, y) : march.datapath->accumulator(unit, y));
  }
  Tensor acc = Tensor::empty(shape, DType::int32);
  for (int64_t i = 0; i < acc.elements(); ++i)
    acc.mutable_data<int32_t>()[i] = static_cast<int32_t>(i * 7919 % (1 << 20)) - (1 << 19);
  return [acc, residual = adds ? integers(shape, -128, 127) : Tensor(), y_integers = Tensor::empty(shape, DType::int8),
          r = quant::Requantizer(*march.datapath, {std::vector<int32_t>(by.size(), 100), by, {}})]() mutable {
    r.all(acc, residual, y_integers);
  };
}

void add_requantizations() {
  // The first ones stay in the nearest cache, as the slices of a layer do.
  for (const Shape& shape : {Shape{64, 64}, Shape{8, 512}, Shape{32, 32, 32, 16}, Shape{32, 8, 8, 64},
                             Shape{32, 16, 16, 144}, Shape{32, 4, 4, 512}})
    for (const bool adds : {false, true})
      for (const auto* march : {&quant::March::nash, &quant::March::bayes, &quant::March::bernoulli2})
        add({.section = "requantisation",
             .row = text(shape, adds ? " with a residual" : ""),
             .column = text(march->datapath->name(), " (", march->name, ")"),
             .baseline = march == &quant::March::nash,
             .make = [=] { return requantization(shape, *march, adds); }});
}

}  // namespace

void add_all() {
  for (const Layer& layer : layers()) add_convolutions(layer);
  add_operations();
  for (const Layer& layer : layers()) add_integers(layer);
  add_requantizations();
  for (const int64_t channels : {192, 256, 512})
    add_splitting({text("3x3 ", channels, "->", channels, " at 8"),
                   {32, 8, 8, channels},
                   {channels, 3, 3, channels},
                   {.padding = 1}});
}

}  // namespace sinter::bench
