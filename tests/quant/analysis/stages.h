#pragma once
// Stages and images made by hand, for the tests of comparisons.

#include <algorithm>
#include <utility>

#include "../../../data/dataset.h"
#include "../../../quant/analysis/stage.h"
#include "../../support.h"

namespace sinter::test {

/// Images whose pixels are given: float32 [N,H,W,C].
struct TensorDataset final : data::Dataset {
  Tensor images;
  explicit TensorDataset(Tensor x) : images(std::move(x)) {}
  int64_t size() const override { return images.size(0); }
  Shape image_shape() const override { return {images.size(1), images.size(2), images.size(3)}; }
  void read(int64_t index, std::span<float> image) const override {
    std::copy_n(images.data<float>() + index * static_cast<int64_t>(image.size()), image.size(), image.data());
  }
  int64_t label(int64_t) const override { return 0; }
};

/// A stage whose activations are functions of the network's input, or, run alone, of the node before.
struct FakeStage final : quant::Stage {
  struct Node {
    quant::StageValue value;  // all but its values
    std::function<Tensor(const Tensor&)> of_input;
    std::function<Tensor(const Tensor&)> of_previous{};  // none: cannot run alone
  };
  std::string name;
  std::vector<Node> nodes;
  std::vector<quant::StageWeight> parameters;

  FakeStage(std::string title, std::vector<Node> of) : name(std::move(title)), nodes(std::move(of)) {}

  std::string title() const override { return name; }
  using Stage::run;
  std::vector<Tensor> run(std::span<const Tensor> x, const Show& show) const override {
    std::vector<Tensor> outputs;
    for (const Node& node : nodes) {
      quant::StageValue value = node.value;
      value.values = node.of_input(x[0]);
      if (value.output) outputs.push_back(value.values);
      show(value);
    }
    return outputs;
  }
  void run_alone(const std::map<std::string, Tensor>& given, const Show& show) const override {
    for (size_t i = 1; i < nodes.size(); ++i) {
      const auto before = given.find(nodes[i - 1].value.node);
      if (before == given.end() || !nodes[i].of_previous) continue;
      quant::StageValue value = nodes[i].value;
      value.values = nodes[i].of_previous(before->second);
      show(value);
    }
  }
  void weights(const std::function<void(const quant::StageWeight&)>& show) const override {
    for (const quant::StageWeight& weight : parameters) show(weight);
  }
};

inline Tensor same(const Tensor& x) { return x; }

/// f of every element.
template <class F>
std::function<Tensor(const Tensor&)> each(F f) {
  return [f](const Tensor& x) {
    Tensor y = Tensor::empty(x.shape());
    std::transform(x.data<float>(), x.data<float>() + x.elements(), y.mutable_data<float>(), f);
    return y;
  };
}

/// Rounded to multiples of a scale within bounds.
inline std::function<Tensor(const Tensor&)> rounded(float scale, const quant::Bounds& bounds) {
  return each([=](float v) {
    return scale * static_cast<float>(quant::quantize(v, 1 / scale, bounds, quant::Rounding::half_to_even));
  });
}

}  // namespace sinter::test
