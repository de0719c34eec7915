#include "fuse.h"

#include <algorithm>
#include <cmath>

#include "../core/ops/batch_norm.h"
#include "../core/rewrite.h"
#include "fused_conv.h"

namespace sinter::quant {

namespace {

class Fuser : Rewriter {
 public:
  explicit Fuser(const Graph& source) : Rewriter(source) {
    for (size_t i = 0; i < graph.nodes.size(); ++i) convert(static_cast<int>(i));
    for (size_t i = 0; i < graph.nodes.size(); ++i) fold_batch_norm(static_cast<int>(i));
    for (size_t i = 0; i < graph.nodes.size(); ++i) fuse_add(static_cast<int>(i));
    for (size_t i = 0; i < graph.nodes.size(); ++i) fuse_activation(static_cast<int>(i));
  }

  using Rewriter::finish;

 private:
  const FusedConv* fused(const Operand& operand) const {
    if (operand.kind != Operand::Kind::node) return nullptr;
    return dynamic_cast<const FusedConv*>(graph.nodes[operand.index].op.get());
  }

  // A parameter of a node's own: fused nodes rewrite their weights, which another call may share.
  Operand own_parameter(const std::string& name, Tensor value) {
    graph.parameters.push_back({name, Parameter(std::move(value))});
    return {Operand::Kind::parameter, static_cast<int>(graph.parameters.size()) - 1};
  }

  Tensor& parameter(const Operand& operand) { return graph.parameters[operand.index].value.tensor(); }

  // conv2d and linear become FusedConv with a weight and a bias of their own.
  void convert(int index) {
    Node& node = graph.nodes[index];
    FusedConvAttributes a;
    if (const auto* conv = dynamic_cast<const ops::Conv2d*>(node.op.get())) {
      a.stride = conv->attributes.stride;
      a.padding = conv->attributes.padding;
      a.dilation = conv->attributes.dilation;
      a.groups = conv->attributes.groups;
    } else if (node.op->name() == "linear" && graph.spec(node.inputs[0]).shape.rank() == 2) {
      a.linear = true;
    } else {
      return;
    }
    for (size_t i = 1; i < node.inputs.size(); ++i)
      if (node.inputs[i].is_activation()) return;  // computed weights
    const auto value = [&](const Operand& operand) {
      return operand.kind == Operand::Kind::constant ? graph.constants[operand.index].clone()
                                                     : parameter(operand).clone();
    };
    Tensor weight = value(node.inputs[1]);
    Tensor bias = node.inputs.size() == 3 ? value(node.inputs[2]) : Tensor::zeros({weight.size(0)});
    const Operand x = node.inputs[0];
    node.inputs = {x, own_parameter(node.name + ".weight", std::move(weight)),
                   own_parameter(node.name + ".bias", std::move(bias))};
    node.op = std::make_shared<FusedConv>(a);
  }

  void fold_batch_norm(int index) {
    Node& node = graph.nodes[index];
    const auto* norm = dynamic_cast<const ops::BatchNorm*>(node.op.get());
    if (norm == nullptr || norm->attributes.activation != "none" || node.inputs.size() != 5) return;
    if (fused(node.inputs[0]) == nullptr || !read_once(node.inputs[0].index)) return;
    for (size_t i = 1; i < 5; ++i)
      if (node.inputs[i].kind != Operand::Kind::parameter) return;
    const int target = node.inputs[0].index;
    const auto gamma = parameter(node.inputs[1]).values<float>(), beta = parameter(node.inputs[2]).values<float>();
    const auto mean = parameter(node.inputs[3]).values<float>(), var = parameter(node.inputs[4]).values<float>();
    Tensor& weight = parameter(graph.nodes[target].inputs[1]);
    Tensor& bias = parameter(graph.nodes[target].inputs[2]);
    float *w = weight.mutable_data<float>(), *b = bias.mutable_data<float>();
    const int64_t each = weight.elements() / weight.size(0);
    for (int64_t o = 0; o < weight.size(0); ++o) {
      const double scale = gamma[o] / std::sqrt(static_cast<double>(var[o]) + norm->attributes.eps);
      for (int64_t i = 0; i < each; ++i) w[o * each + i] = static_cast<float>(w[o * each + i] * scale);
      b[o] = static_cast<float>(beta[o] + (static_cast<double>(b[o]) - mean[o]) * scale);
    }
    absorb(index, target);
  }

  void fuse_add(int index) {
    Node& node = graph.nodes[index];
    if (node.op->name() != "add" || node.inputs.size() != 2 || absorbed(index)) return;
    if (!(graph.spec(node.inputs[0]) == graph.spec(node.inputs[1]))) return;  // broadcasting stays an addition
    for (const int which : {1, 0}) {
      const FusedConv* conv = fused(node.inputs[which]);
      const Operand skip = node.inputs[1 - which];
      if (conv == nullptr || !skip.is_activation() || !read_once(node.inputs[which].index)) continue;
      Node& target = graph.nodes[node.inputs[which].index];
      if (conv->attributes.activation != "none" || target.inputs.size() != 3 || conv->attributes.linear) continue;
      target.inputs.push_back(skip);
      absorb(index, node.inputs[which].index);
      return;
    }
  }

  void fuse_activation(int index) {
    Node& node = graph.nodes[index];
    const std::string kind(node.op->name());
    if ((kind != "relu" && kind != "relu6") || absorbed(index)) return;
    const FusedConv* conv = fused(node.inputs[0]);
    if (conv == nullptr || conv->attributes.activation != "none" || !read_once(node.inputs[0].index)) return;
    FusedConvAttributes a = conv->attributes;
    a.activation = kind;
    const int target = node.inputs[0].index;
    graph.nodes[target].op = std::make_shared<FusedConv>(a);
    absorb(index, target);
  }
};

}  // namespace

Graph fuse(const Graph& graph) { return Fuser(graph).finish(); }

}  // namespace sinter::quant
