#include "fuse.h"

#include <algorithm>
#include <map>
#include <set>

#include "../core/ops/batch_norm.h"
#include "../core/ops/chain.h"
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
    for (size_t i = 0; i < graph.nodes.size(); ++i) convert_norm(static_cast<int>(i));
    for (size_t i = 0; i < graph.nodes.size(); ++i) fuse_add(static_cast<int>(i));
    for (size_t i = 0; i < graph.nodes.size(); ++i) fuse_activation(static_cast<int>(i));
  }

  // `untied`: a line for every parameter of the source that became several.
  Graph finish(std::vector<std::string>* untied) {
    name_parameters();
    if (untied != nullptr) *untied = untied_parameters();
    return Rewriter::finish();
  }

 private:
  // What a parameter of a fused layer is made of.
  struct Recipe {
    Operand from;                 // a parameter or constant of the source; an input: zeros for a layer without a bias,
                                  // or the ones and zeros that a batch normalisation on its own is folded into
    bool rotated = false;         // a transposed convolution's weight
    std::vector<Operand> folded;  // what of batch normalisations is in it,
    std::vector<double> eps;      // and theirs
    bool operator==(const Recipe&) const = default;
  };

  const FusedConv* fused(const Operand& operand) const {
    return operand.kind == Operand::Kind::node ? fused_conv(graph.nodes[operand.index]) : nullptr;
  }

  const Tensor& value(const Operand& operand) const {
    return operand.kind == Operand::Kind::constant ? graph.constants[operand.index]
                                                   : graph.parameters[operand.index].value.tensor();
  }

  Recipe recipe_of(const Operand& operand) const {
    for (const auto& [recipe, made] : made_)
      if (made == operand) return recipe;
    return {operand, false, {}, {}};
  }

  // The parameter of a recipe: layers whose recipes are the same share it. It is trained if anything in it is.
  Operand make(const Recipe& recipe, const Tensor& made, const Operand& like) {
    for (const auto& [known, operand] : made_)
      if (known == recipe) return operand;
    const auto any = [&](const auto& is) {
      const auto of = [&](const Operand& operand) {
        return operand.kind == Operand::Kind::parameter && is(graph.parameters[operand.index].value);
      };
      return of(like) || std::any_of(recipe.folded.begin(), recipe.folded.end(), of);
    };
    const bool wanted = any([](const Parameter& p) { return p.tensor().requires_grad(); });
    Parameter parameter(made.clone(), any([](const Parameter& p) { return p.trained(); }));
    parameter.tensor().set_requires_grad(wanted);
    if (recipe.from.kind == Operand::Kind::parameter)
      parameter.set_weight_decay(graph.parameters[recipe.from.index].value.weight_decay());
    graph.parameters.push_back({"", std::move(parameter)});
    made_.emplace_back(recipe, Operand{Operand::Kind::parameter, static_cast<int>(graph.parameters.size()) - 1});
    return made_.back().second;
  }

  // Dropout is nothing once a network is trained.
  void drop(int index) {
    const Node& node = graph.nodes[index];
    if (node.op->name() != "dropout") return;
    const Operand x = node.inputs[0], self{Operand::Kind::node, index};
    if (x.kind == Operand::Kind::node) return absorb(index, x.index);
    for (Node& reader : graph.nodes) std::replace(reader.inputs.begin(), reader.inputs.end(), self, x);
    std::replace(graph.outputs.begin(), graph.outputs.end(), self, x);
  }

  // conv2d, conv_transpose2d and linear become FusedConv with a weight and a bias.
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
    } else if (node.op->name() == "linear" && graph.spec(node.inputs[0]).shape.rank() >= 2) {
      a.linear = true;
    } else {
      return;
    }
    for (size_t i = 1; i < node.inputs.size(); ++i)
      if (node.inputs[i].is_activation()) return;  // computed weights
    const Operand x = node.inputs[0], source = node.inputs[1];
    Operand weight = source, bias{Operand::Kind::input, source.index};
    const bool rotates = a.transposed && value(source).size(1) * value(source).size(2) > 1;
    if (rotates || source.kind == Operand::Kind::constant)
      weight = make({source, rotates, {}, {}}, rotates ? rotated(value(source)) : value(source), source);
    if (node.inputs.size() == 2) {
      bias.index = weight.index;
      bias = make({bias, false, {}, {}}, Tensor::zeros({value(weight).size(0)}), weight);
    } else {
      bias = node.inputs[2];
      if (bias.kind == Operand::Kind::constant) bias = make({bias, false, {}, {}}, value(bias), bias);
    }
    node.inputs = {x, weight, bias};
    node.op = std::make_shared<FusedConv>(a);
  }

  // A batch normalisation by parameters or numbers, or null.
  const ops::BatchNorm* batch_norm(const Node& node) const {
    const auto* norm = dynamic_cast<const ops::BatchNorm*>(node.op.get());
    if (norm == nullptr || norm->attributes.activation != "none" || node.inputs.size() != 5) return nullptr;
    for (size_t i = 1; i < 5; ++i)
      if (node.inputs[i].is_activation()) return nullptr;
    return norm;
  }

  // One without a layer to be folded into is a layer of its own: a depthwise convolution of 1x1.
  void convert_norm(int index) {
    Node& node = graph.nodes[index];
    const ops::BatchNorm* norm = batch_norm(node);
    if (norm == nullptr || absorbed(index) || graph.spec(node.inputs[0]).shape.rank() < 2) return;
    const double eps = norm->attributes.eps;
    const std::vector<Operand> own(node.inputs.begin() + 1, node.inputs.end());
    const int64_t channels = value(own[0]).elements();
    const Folded folded = fold_batch_norm(Tensor::full({channels, 1, 1, 1}, 1), Tensor::zeros({channels}),
                                          value(own[0]), value(own[1]), value(own[2]), value(own[3]), eps);
    const Operand ones{Operand::Kind::input, -1}, zeros{Operand::Kind::input, 0};
    FusedConvAttributes a;
    a.groups = channels;
    node.inputs = {node.inputs[0], make({ones, false, {own[0], own[3]}, {eps}}, folded.weight, own[0]),
                   make({zeros, false, own, {eps}}, folded.bias, own[1])};
    node.op = std::make_shared<FusedConv>(a);
  }

  void fold(int index) {
    const Node& node = graph.nodes[index];
    const ops::BatchNorm* norm = batch_norm(node);
    if (norm == nullptr) return;
    const FusedConv* conv = fused(node.inputs[0]);
    if (conv == nullptr || conv->attributes.batch_norm || !read_once(node.inputs[0].index)) return;
    bool fixed = false;  // constants are nothing that could be trained
    for (size_t i = 1; i < 5; ++i) fixed = fixed || node.inputs[i].kind == Operand::Kind::constant;
    const int target = node.inputs[0].index;
    const std::vector<Operand> own(node.inputs.begin() + 1, node.inputs.end());
    Node& layer = graph.nodes[target];
    if (options_.fold_batch_norm || fixed) {
      Operand &weight = layer.inputs[1], &bias = layer.inputs[2];
      const double eps = norm->attributes.eps;
      const Folded folded =
          fold_batch_norm(value(weight), value(bias), value(own[0]), value(own[1]), value(own[2]), value(own[3]), eps);
      const auto with = [&](Recipe recipe, const std::vector<Operand>& parts) {
        recipe.folded.insert(recipe.folded.end(), parts.begin(), parts.end());
        recipe.eps.push_back(eps);
        if (recipe.from.kind == Operand::Kind::input) recipe.from.index = 0;  // zeros no longer
        return recipe;
      };
      weight = make(with(recipe_of(weight), {own[0], own[3]}), folded.weight, weight);
      bias = make(with(recipe_of(bias), own), folded.bias, bias);
    } else {
      FusedConvAttributes a = conv->attributes;
      a.batch_norm = true;
      a.eps = norm->attributes.eps;
      a.momentum = norm->attributes.momentum;
      a.frozen = norm->attributes.frozen;
      layer.op = std::make_shared<FusedConv>(a);
      layer.inputs.insert(layer.inputs.end(), own.begin(), own.end());
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

  // f(node, place among its inputs, operand) of every parameter that is read.
  template <class F>
  void each_parameter(const F& f) {
    for (size_t n = 0; n < graph.nodes.size(); ++n)
      for (size_t i = 0; i < graph.nodes[n].inputs.size() && !absorbed(static_cast<int>(n)); ++i)
        if (graph.nodes[n].inputs[i].kind == Operand::Kind::parameter) f(graph.nodes[n], i, graph.nodes[n].inputs[i]);
  }

  // The weights and biases of layers are named after the first that has them; no other parameter keeps such a name.
  void name_parameters() {
    source_names_.resize(graph.parameters.size());
    for (size_t i = 0; i < graph.parameters.size(); ++i) source_names_[i] = graph.parameters[i].name;
    std::vector<bool> named(graph.parameters.size(), false);
    std::set<std::string> taken;
    each_parameter([&](const Node& node, size_t place, const Operand& operand) {
      if (fused_conv(node) == nullptr || place > 2 || named[operand.index]) return;
      named[operand.index] = true;
      taken.insert(graph.parameters[operand.index].name = node.name + (place == 1 ? ".weight" : ".bias"));
    });
    each_parameter([&](const Node&, size_t, const Operand& operand) {
      if (named[operand.index]) return;
      named[operand.index] = true;
      std::string& name = graph.parameters[operand.index].name;
      while (!taken.insert(name).second) name += "_";
    });
  }

  std::vector<std::string> untied_parameters() {
    // By parameter of the source, what is trained in its place: weights apart from biases, which share what is folded.
    std::map<std::pair<int, bool>, std::vector<Operand>> places;
    each_parameter([&](const Node& node, size_t place, const Operand& operand) {
      const auto add = [&](const Operand& source, bool bias) {
        if (source.kind != Operand::Kind::parameter) return;
        std::vector<Operand>& all = places[{source.index, bias}];
        if (std::find(all.begin(), all.end(), operand) == all.end()) all.push_back(operand);
      };
      const bool bias = place == 2;
      if (fused_conv(node) == nullptr || place > 2) {  // as it is: the one or the other
        add(operand, false);
        return add(operand, true);
      }
      const Recipe recipe = recipe_of(operand);
      add(recipe.from, bias);
      // Of a batch normalisation, a weight has [gamma, variance], a bias [gamma, beta, mean, variance]; gamma counts
      // where it is a factor.
      const size_t each = bias ? 4 : 2;
      for (size_t i = bias ? 1 : 0; i < recipe.folded.size(); i += each) add(recipe.folded[i], bias);
    });
    std::vector<std::string> lines;
    for (const auto& [source, all] : places) {
      if (all.size() < 2 || !graph.parameters[source.first].value.tensor().requires_grad()) continue;
      std::vector<std::string> names;
      bool rotated = false, plain = false, folded_itself = true;
      for (const Operand& operand : all) {
        names.push_back(graph.parameters[operand.index].name);
        const Recipe recipe = recipe_of(operand);
        rotated = rotated || recipe.rotated;
        plain = plain || recipe.folded.empty();
        folded_itself = folded_itself && !(recipe.from == Operand{Operand::Kind::parameter, source.first});
      }
      lines.push_back(text(source_names_[source.first], ": one parameter in the float network, but ", joined(names),
                           " here, which are trained apart, as ",
                           folded_itself ? "it is folded into each of them"
                           : rotated     ? "the weights of a transposed convolution are rotated"
                           : plain       ? "batch normalisation is folded into some of them only"
                                         : "different batch normalisations are folded into them"));
    }
    return lines;
  }

  FuseOptions options_;
  std::vector<std::pair<Recipe, Operand>> made_;
  std::vector<std::string> source_names_;
};

}  // namespace

Graph fuse(const Graph& graph, const FuseOptions& options, std::vector<std::string>* untied) {
  return Fuser(graph, options).finish(untied);
}

namespace {

// Why nothing more fuses into a layer, or nothing.
std::string why_closed(const Graph& graph, int index) {
  const Node& layer = graph.nodes[index];
  int readers = 0;
  for (const Node& node : graph.nodes)
    for (const Operand& operand : node.inputs) readers += operand.kind == Operand::Kind::node && operand.index == index;
  for (const Operand& operand : graph.outputs)
    if (operand.kind == Operand::Kind::node && operand.index == index)
      return layer.name + " is an output of the network, too";
  if (readers > 1) return text(layer.name, " is read ", readers, " times");
  const std::string& activation = fused_conv(layer)->attributes.activation;
  return activation == "none" ? "" : text(layer.name, " already has its ", activation);
}

}  // namespace

namespace {

class ChainFuser : Rewriter {
 public:
  ChainFuser(const Graph& source, const std::function<bool(size_t, size_t)>& alike) : Rewriter(source), alike_(alike) {
    for (size_t i = graph.nodes.size(); i-- > 0;)
      if (!absorbed(static_cast<int>(i)) && is_step(graph.nodes[i])) fuse(static_cast<int>(i));
  }
  using Rewriter::finish;

 private:
  // Elementwise, on activations of its output's shape and at most one number.
  bool is_step(const Node& node) const {
    int numbers = 0;
    for (const Operand& operand : node.inputs) {
      const Spec& spec = graph.spec(operand);
      if (operand.kind == Operand::Kind::constant && spec.dtype == DType::float32 && spec.shape.elements() == 1)
        ++numbers;
      else if (!operand.is_activation() || spec != node.outputs[0])
        return false;
    }
    return numbers < 2 && ops::Chain::is_step(*node.op, node.inputs.size());
  }

  // Ends a chain with this node: the largest set of nodes before it that lead from one tensor to it alone.
  void fuse(int last) {
    std::set<int> nodes{last}, best;
    std::set<std::pair<int, int>> reads;  // by kind and index, what they read from outside
    std::set<int> closed;
    while (true) {
      reads.clear();
      int next = -1;  // the latest, as all that read it are there already if they ever will be
      for (const int node : nodes)
        for (const Operand& operand : graph.nodes[node].inputs) {
          if (!operand.is_activation()) continue;
          const bool is_node = operand.kind == Operand::Kind::node;
          if (is_node && nodes.count(operand.index) > 0) continue;
          reads.emplace(is_node, operand.index);
          if (is_node && closed.count(operand.index) == 0) next = std::max(next, operand.index);
        }
      if (reads.size() == 1) best = nodes;
      if (next < 0) break;
      if (may_join(next, nodes, last))
        nodes.insert(next);
      else
        closed.insert(next);
    }
    // A bound, or a sum of two with one behind it, is a layer already.
    int functions = 0, computed = 0;
    for (const int index : best) {
      const Node& node = graph.nodes[index];
      const std::string_view op = node.op->name();
      const bool bound = op == "relu" || op == "relu6";
      computed += !bound;
      functions += !bound && std::count_if(node.inputs.begin(), node.inputs.end(),
                                           [](const Operand& o) { return o.is_activation(); }) == 1;
    }
    if (best.size() > 1 && (functions > 0 || computed > 1)) merge(best, last);
  }

  bool may_join(int node, const std::set<int>& nodes, int last) const {
    if (!is_step(graph.nodes[node]) || !alike_(static_cast<size_t>(node), static_cast<size_t>(last))) return false;
    for (const Operand& operand : graph.outputs)
      if (operand.kind == Operand::Kind::node && operand.index == node) return false;
    for (size_t reader = 0; reader < graph.nodes.size(); ++reader)
      for (const Operand& operand : graph.nodes[reader].inputs)
        if (operand.kind == Operand::Kind::node && operand.index == node && nodes.count(static_cast<int>(reader)) == 0)
          return false;
    return true;
  }

  void merge(const std::set<int>& nodes, int last) {
    std::vector<ops::Chain::Step> steps;
    std::map<int, int64_t> step_of;
    Operand source;
    for (const int index : nodes) {
      const Node& node = graph.nodes[index];
      ops::Chain::Step step{node.op, {}};
      for (const Operand& operand : node.inputs) {
        const auto inner = operand.kind == Operand::Kind::node ? step_of.find(operand.index) : step_of.end();
        if (operand.kind == Operand::Kind::constant) {
          step.operands.push_back(ops::Chain::kNumber);
          step.number = static_cast<double>(*graph.constants[operand.index].data<float>());
        } else if (inner != step_of.end()) {
          step.operands.push_back(inner->second);
        } else {
          step.operands.push_back(ops::Chain::kInput);
          source = operand;
        }
      }
      step_of[index] = static_cast<int64_t>(steps.size());
      steps.push_back(std::move(step));
    }
    for (const int index : nodes)
      if (index != last) absorb(index, last);
    graph.nodes[last].op = std::make_shared<const ops::Chain>(std::move(steps));
    graph.nodes[last].inputs = {source};
  }

  const std::function<bool(size_t, size_t)>& alike_;
};

}  // namespace

Graph fuse_chains(const Graph& fused, const std::function<bool(size_t, size_t)>& alike) {
  return ChainFuser(fused, alike).finish();
}

std::vector<std::string> unfused_patterns(const Graph& fused) {
  std::vector<std::string> all;
  for (const Node& node : fused.nodes) {
    const std::string_view op = node.op->name();
    const bool add = op == "add";
    if (!add && op != "relu" && op != "relu6") continue;
    std::vector<std::string> reasons;
    for (const Operand& operand : node.inputs) {
      if (operand.kind != Operand::Kind::node || fused_conv(fused.nodes[operand.index]) == nullptr) continue;
      const Node& before = fused.nodes[operand.index];
      std::string reason = why_closed(fused, operand.index);
      if (reason.empty() && add && skip_of(before) != nullptr) reason = before.name + " already adds";
      if (reason.empty() && add && !(fused.spec(node.inputs[0]) == fused.spec(node.inputs[1])))
        reason = "the addition broadcasts";
      if (!reason.empty() && std::find(reasons.begin(), reasons.end(), reason) == reasons.end())
        reasons.push_back(reason);
    }
    std::string text_of_all;
    for (const std::string& reason : reasons) text_of_all += (text_of_all.empty() ? "" : "; ") + reason;
    if (!reasons.empty()) all.push_back(text(node.name, ": this ", op, " was not fused, as ", text_of_all));
  }
  return all;
}

}  // namespace sinter::quant
