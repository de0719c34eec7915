#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <unordered_map>
#include <vector>

#include "op.h"
#include "parameter.h"

namespace sinter {

/// Where a node's input comes from.
struct Operand {
  enum class Kind { input, node, parameter, constant };
  Kind kind = Kind::input;
  int index = 0;   ///< of the graph's input, node, parameter or constant
  int output = 0;  ///< of the node
  /// Whether it depends on the graph's inputs: no parameter, no constant.
  bool is_activation() const { return kind == Kind::input || kind == Kind::node; }
  bool operator==(const Operand&) const = default;
};

/// One operation of a graph.
struct Node {
  std::string name;                  ///< module path, operation, `#n` for the n-th in canonical order
  std::vector<std::string> aliases;  ///< names of the nodes that were fused into this one
  std::shared_ptr<const Op> op;
  std::vector<Operand> inputs;
  Specs outputs;  ///< for the example's batch
};

/// A network as operations in topological order (post-order from the outputs, by operand index). Copying a graph
/// copies its parameters; `trace` returns one that shares them with the model.
class Graph {
 public:
  Specs inputs;
  std::vector<Node> nodes;
  std::vector<NamedParameter> parameters;
  std::vector<Tensor> constants;
  std::vector<Operand> outputs;

  /// Sees the outputs of a node right after it ran.
  using NodeHook = std::function<void(size_t node, const std::vector<Tensor>& outputs)>;
  /// Runs the operations. Intermediate results are freed after their last use.
  std::vector<Tensor> run(std::vector<Tensor> x, const NodeHook& hook = {}) const;
  Tensor operator()(const Tensor& x) const;

  /// The same graph, whose parameters have the same elements: one that can be rewritten without copying them.
  Graph share() const;
  /// Index of a node by name or alias; -1 when there is none.
  int find(const std::string& name) const;
  /// For every node, the indices of the nodes that read it.
  std::vector<std::vector<int>> consumers() const;
  /// Shape and type of an operand.
  const Spec& spec(const Operand& operand) const;
  /// Removes what no output depends on and puts the rest into canonical order.
  void canonicalize();
};

/// One line a node: name, operation with attributes, inputs, shape.
std::string to_string(const Graph& graph);
/// The model as a table: per node its output shape, parameters and multiply-accumulates, with totals.
std::string summary(const Graph& graph);

/// A module as a trace names it.
struct TracedModule {
  std::string path;
  bool leaf = false;  ///< has no modules inside: its first operation takes its path as the whole name
};

/// Something that can be traced: how to run it, and the names of its parts.
/// `run` behaves as `training_mode()` says.
struct Traceable {
  std::function<std::vector<Tensor>(std::vector<Tensor>)> run;
  std::vector<NamedParameter> parameters;                 ///< every parameter and buffer, shared
  std::unordered_map<const void*, TracedModule> modules;  ///< by address
};

/// Runs it on shapes alone, in evaluation and in training mode and at another batch size, and returns its graph,
/// sharing the parameters. Throws Error when the runs differ (flow that depends on data, mode or batch size), when
/// values are read, and for a parameter that is used but not listed.
Graph trace(const Traceable& model, const Specs& inputs);

namespace detail {
/// Marks the module that operations of this thread belong to, for names of traced nodes.
class ModuleScope {
 public:
  explicit ModuleScope(const void* module);
  ~ModuleScope();
  ModuleScope(const ModuleScope&) = delete;
  ModuleScope& operator=(const ModuleScope&) = delete;
};
/// Inside `trace`: records a call instead of running it.
bool tracing();
/// Post-order from the outputs by operand index: the nodes that an output depends on, as `canonicalize` orders them.
std::vector<int> canonical_order(const Graph& graph);
std::vector<Tensor> record(std::shared_ptr<const Op> op, const std::vector<Tensor>& inputs, const Specs& outputs);
}  // namespace detail

}  // namespace sinter
