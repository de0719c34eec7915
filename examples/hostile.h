#pragma once
// A network made hostile to quantisation, as RepVGG-like networks end up: neighbouring layers rescaled channel by
// channel, so that the values of one tensor are orders of magnitude apart while the float function stays the same.

#include <algorithm>
#include <cmath>
#include <vector>

#include "../core/random.h"
#include "../nn/module.h"

namespace sinter::examples {

struct HostileOptions {
  double decades = 3;  ///< between the smallest factor and the largest
  uint64_t seed = 1;
};

namespace detail {

/// The factors of a traced network's channels. Tensors whose channels have the same factors are one space.
class HostileFactors {
 public:
  HostileFactors(const Graph& graph, const HostileOptions& options)
      : options_(options), spaces_(graph.nodes.size() + 1) {
    for (size_t i = 0; i < spaces_.size(); ++i) spaces_[i].parent = i;
    spaces_[0].fixed = true;  // of the network's inputs; node i has space i + 1
    for (size_t i = 0; i < graph.nodes.size(); ++i) {
      const Node& node = graph.nodes[i];
      const auto name = node.op->name();
      const Shape& shape = node.outputs[0].shape;
      spaces_[i + 1].channels = shape[shape.rank() - 1];
      if (name == "conv2d" || name == "linear") continue;
      const bool passes = name == "relu" || name == "max_pool2d" || name == "mean" || name == "flatten";
      // Batch normalisation undoes any factor of its input, which stays as it is, and opens a space.
      if (!passes && name != "add") spaces_[i + 1].fixed = name != "batch_norm";
      for (const Operand& operand : node.inputs) {
        if (!operand.is_activation()) continue;
        if (passes || name == "add")
          merge(of(operand), root(i + 1));
        else
          spaces_[of(operand)].fixed = true;
      }
    }
    for (const Operand& output : graph.outputs) spaces_[of(output)].fixed = true;
    for (size_t i = 0; i < spaces_.size(); ++i) draw(i);
  }

  double operator()(const Operand& activation, int64_t channel) const {
    const std::vector<double>& factors = spaces_[of(activation)].factors;
    return factors.empty() ? 1 : factors[static_cast<size_t>(channel) % factors.size()];
  }

 private:
  struct Space {
    size_t parent = 0;
    bool fixed = false;
    int64_t channels = 0;
    std::vector<double> factors{};
  };

  size_t root(size_t space) const {
    while (spaces_[space].parent != space) space = spaces_[space].parent;
    return space;
  }
  size_t of(const Operand& o) const {
    return root(o.kind == Operand::Kind::node ? static_cast<size_t>(o.index) + 1 : 0);
  }

  // Flattened images have their channels repeated.
  void merge(size_t a, size_t b) {
    spaces_[a].fixed = spaces_[a].fixed || spaces_[b].fixed;
    spaces_[a].channels = std::min(spaces_[a].channels, spaces_[b].channels);
    spaces_[b].parent = a;
  }

  void draw(size_t space) {
    Space& s = spaces_[space];
    if (s.parent != space || s.fixed) return;
    Random random(options_.seed, space);
    for (int64_t c = 0; c < s.channels; ++c)
      s.factors.push_back(std::pow(10, options_.decades * (random.uniform() - 0.5)));
  }

  HostileOptions options_;
  std::vector<Space> spaces_;
};

/// values[k] *= by(k), in place.
template <class F>
void multiply(const Graph& graph, const Operand& parameter, const F& by) {
  Tensor values = graph.parameters[static_cast<size_t>(parameter.index)].value.tensor();
  float* v = values.mutable_data<float>();
  for (int64_t k = 0; k < values.elements(); ++k) v[k] = static_cast<float>(v[k] * by(k));
}

}  // namespace detail

/// Multiplies every channel between two layers by a factor of its own, log-uniform in 10^-(decades / 2) ..
/// 10^(decades / 2), in the layer that makes it (a batch normalisation's weight and bias, or those of a convolution or
/// linear layer), and divides by it in the layers that read it, in place. Between them there may be ReLU, max pooling,
/// mean, flatten and additions, whose operands get the same factors. The network's inputs and outputs, and what meets
/// any other operation, stay as they are. The model uses each of its parameters once.
inline void make_hostile(const nn::Module& model, const Tensor& example, const HostileOptions& options = {}) {
  const Graph graph = trace(model, example);  // shares the model's parameters
  const detail::HostileFactors factors(graph, options);
  for (size_t i = 0; i < graph.nodes.size(); ++i) {
    const Node& node = graph.nodes[i];
    const Operand self{Operand::Kind::node, static_cast<int>(i)};
    const bool layer = node.op->name() == "conv2d" || node.op->name() == "linear";
    if (!layer && node.op->name() != "batch_norm") continue;
    const auto made = [&](int64_t channel) { return factors(self, channel); };
    if (layer) {
      const Shape weight = graph.spec(node.inputs[1]).shape, x = graph.spec(node.inputs[0]).shape;
      const int64_t read = weight[weight.rank() - 1], each = weight.elements() / weight[0];
      const int64_t group = weight[0] * read / x[x.rank() - 1];  // output channels of a group
      detail::multiply(graph, node.inputs[1], [&](int64_t k) {
        const int64_t o = k / each;
        return made(o) / factors(node.inputs[0], o / group * read + k % read);
      });
    } else {
      detail::multiply(graph, node.inputs[1], made);
    }
    if (node.inputs.size() > 2) detail::multiply(graph, node.inputs[2], made);
  }
}

}  // namespace sinter::examples
