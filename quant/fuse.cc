#include "fuse.h"

#include <algorithm>
#include <map>

#include "../core/ops/batch_norm.h"
#include "../core/ops/conv_transpose2d.h"
#include "../core/rewrite.h"
#include "fused_conv.h"

namespace sinter::quant {

namespace {

class Fuser : Rewriter {
 public:
  Fuser(const Graph& source, const FuseOptions& options) : Rewriter(source), options_(options) {
    for (size_t i = 0; i < graph.nodes.size(); ++i) drop(static_cast<int>(i));
    for (size_t i = 0; i < graph.nodes.size(); ++i) convert(static_cast<int>(i));
    for (size_t i = 0; i < graph.nodes.size(); ++i) fold(static_cast<int>(i));
    for (size_t i = 0; i < graph.nodes.size(); ++i) freeze(static_cast<int>(i));
    for (size_t i = 0; i < graph.nodes.size(); ++i) share(static_cast<int>(i));
    for (size_t i = 0; i < graph.nodes.size(); ++i) fuse_add(static_cast<int>(i));
    for (size_t i = 0; i < graph.nodes.size(); ++i) fuse_activation(static_cast<int>(i));
  }

  using Rewriter::finish;

 private:
  const FusedConv* fused(const Operand& operand) const {
    return operand.kind == Operand::Kind::node ? fused_conv(graph.nodes[operand.index]) : nullptr;
  }

  // A parameter of a node's own: fused nodes rewrite their weights, which another call may share.
  Operand own_parameter(const std::string& name, Tensor value) {
    graph.parameters.push_back({name, Parameter(std::move(value))});
    return {Operand::Kind::parameter, static_cast<int>(graph.parameters.size()) - 1};
  }

  Tensor& parameter(const Operand& operand) { return graph.parameters[operand.index].value.tensor(); }

  // Dropout is nothing once a network is trained.
  void drop(int index) {
    const Node& node = graph.nodes[index];
    if (node.op->name() != "dropout") return;
    const Operand x = node.inputs[0], self{Operand::Kind::node, index};
    if (x.kind == Operand::Kind::node) return absorb(index, x.index);
    for (Node& reader : graph.nodes) std::replace(reader.inputs.begin(), reader.inputs.end(), self, x);
    std::replace(graph.outputs.begin(), graph.outputs.end(), self, x);
  }

  // conv2d, conv_transpose2d and linear become FusedConv with a weight and a bias of their own.
  void convert(int index) {
    Node& node = graph.nodes[index];
    FusedConvAttributes a;
    const auto take = [&a](const auto& from) {
      a.stride = from.stride;
      a.padding = from.padding;
      a.dilation = from.dilation;
      a.groups = from.groups;
    };
    if (const auto* conv = dynamic_cast<const ops::Conv2d*>(node.op.get())) {
      take(conv->attributes);
    } else if (const auto* transposed = dynamic_cast<const ops::ConvTranspose2d*>(node.op.get())) {
      take(transposed->attributes);
      a.transposed = true;
      a.output_padding = transposed->attributes.output_padding;
      const Shape& kernel = graph.spec(node.inputs[1]).shape;
      if (a.padding.h > a.dilation.h * (kernel[1] - 1) || a.padding.w > a.dilation.w * (kernel[2] - 1)) return;
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
    if (a.transposed) weight = rotated(weight);
    Tensor bias = node.inputs.size() == 3 ? value(node.inputs[2]) : Tensor::zeros({weight.size(0)});
    origins_[index] = {node.inputs.begin() + 1, node.inputs.end()};
    const Operand x = node.inputs[0];
    node.inputs = {x, own_parameter(node.name + ".weight", std::move(weight)),
                   own_parameter(node.name + ".bias", std::move(bias))};
    node.op = std::make_shared<FusedConv>(a);
  }

  void fold(int index) {
    const Node& node = graph.nodes[index];
    const auto* norm = dynamic_cast<const ops::BatchNorm*>(node.op.get());
    if (norm == nullptr || norm->attributes.activation != "none" || node.inputs.size() != 5) return;
    const FusedConv* conv = fused(node.inputs[0]);
    if (conv == nullptr || conv->attributes.batch_norm || !read_once(node.inputs[0].index)) return;
    for (size_t i = 1; i < 5; ++i)
      if (node.inputs[i].kind != Operand::Kind::parameter) return;
    const int target = node.inputs[0].index;
    const std::vector<Operand> own(node.inputs.begin() + 1, node.inputs.end());
    Node& layer = graph.nodes[target];
    origins_[target].insert(origins_[target].end(), own.begin(), own.end());
    if (options_.fold_batch_norm) {
      Tensor &weight = parameter(layer.inputs[1]), &bias = parameter(layer.inputs[2]);
      const Folded folded = fold_batch_norm(weight, bias, parameter(own[0]), parameter(own[1]), parameter(own[2]),
                                            parameter(own[3]), norm->attributes.eps);
      weight.copy_from(folded.weight);
      bias.copy_from(folded.bias);
    } else {
      FusedConvAttributes a = conv->attributes;
      a.batch_norm = true;
      a.eps = norm->attributes.eps;
      a.momentum = norm->attributes.momentum;
      layer.op = std::make_shared<FusedConv>(a);
      layer.inputs.insert(layer.inputs.end(), own.begin(), own.end());
    }
    absorb(index, target);
  }

  // Calls of one layer, which all come from the same parameters, have the first one's.
  void share(int index) {
    const auto origin = origins_.find(index);
    if (origin == origins_.end() || absorbed(index)) return;
    // A transposed convolution's weight is rotated: it is none of a convolution's.
    std::vector<std::pair<int, int>> key{{-1, fused_conv(graph.nodes[index])->attributes.transposed}};
    for (const Operand& operand : origin->second) key.emplace_back(static_cast<int>(operand.kind), operand.index);
    const auto [first, fresh] = layers_.emplace(key, index);
    if (fresh) return;
    for (const size_t i : {1, 2}) graph.nodes[index].inputs[i] = graph.nodes[first->second].inputs[i];
  }

  // What was made of frozen parameters alone is frozen; a bias that the layer does not have goes with the weight.
  void freeze(int index) {
    const auto origin = origins_.find(index);
    if (origin == origins_.end()) return;
    const auto frozen = [&](const Operand& operand) {
      return operand.kind == Operand::Kind::parameter && graph.parameters[operand.index].value.trained() &&
             !parameter(operand).requires_grad();
    };
    const auto trained = [&](const Operand& operand) {
      return operand.kind == Operand::Kind::parameter && parameter(operand).requires_grad();
    };
    const std::vector<Operand>& from = origin->second;
    const bool any = std::any_of(from.begin(), from.end(), frozen);
    if (any && std::none_of(from.begin(), from.end(), trained))
      for (const size_t i : {1, 2}) parameter(graph.nodes[index].inputs[i]).set_requires_grad(false);
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
      if (conv->attributes.activation != "none" || skip_of(target) != nullptr) continue;
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

  FuseOptions options_;
  std::map<int, std::vector<Operand>> origins_;             // of a node's weights: the parameters they were made of
  std::map<std::vector<std::pair<int, int>>, int> layers_;  // the first node of each origin
};

}  // namespace

Graph fuse(const Graph& graph, const FuseOptions& options) { return Fuser(graph, options).finish(); }

std::vector<std::string> unfused_patterns(const Graph& fused) {
  std::vector<std::string> all;
  std::vector<int> readers(fused.nodes.size());
  for (const Node& node : fused.nodes)
    for (const Operand& operand : node.inputs)
      if (operand.kind == Operand::Kind::node) ++readers[operand.index];
  for (const Operand& operand : fused.outputs)
    if (operand.kind == Operand::Kind::node) ++readers[operand.index];
  for (const Node& node : fused.nodes) {
    const std::string_view op = node.op->name();
    const bool norm = op == "batch_norm", activation = op == "relu" || op == "relu6";
    if (!norm && !activation && op != "add") continue;
    std::string reasons;
    for (const Operand& operand : node.inputs) {
      if (operand.kind != Operand::Kind::node) continue;
      const Node& before = fused.nodes[operand.index];
      const FusedConv* conv = fused_conv(before);
      if (conv == nullptr) continue;
      if (readers[operand.index] > 1)
        reasons += text(reasons.empty() ? "" : "; ", before.name, " is read ", readers[operand.index], " times");
      else if (conv->attributes.activation != "none")
        reasons += text(reasons.empty() ? "" : "; ", before.name, " already has its ", conv->attributes.activation);
      else if (op == "add" && skip_of(before) != nullptr)
        reasons += text(reasons.empty() ? "" : "; ", before.name, " already adds");
      else if (op == "add" && !(fused.spec(node.inputs[0]) == fused.spec(node.inputs[1])))
        reasons += text(reasons.empty() ? "" : "; ", "the addition broadcasts");
    }
    if (!reasons.empty()) all.push_back(text(node.name, ": this ", op, " was not fused, as ", reasons));
  }
  return all;
}

}  // namespace sinter::quant
